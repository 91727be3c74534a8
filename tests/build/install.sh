#!/bin/sh
# install.sh CMAKE BUILD CC: an installed tree, moved to another place, serves a program outside by pkg-config (shared
# and static) and by find_package, and names neither the folder of the sources nor that of the build.
set -eu
cmake=$1
build=$2
compiler=$3
source_dir=${HOLDFAST_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/moved
checked=0

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# runs PROGRAM WHAT: the program makes a store, saves and reads.
runs() {
  rm -rf "$work/store"
  answer=$("$1" "$work/store") || fail "$2: the program failed"
  [ "$answer" = 'seq 1: {"x":0.10}' ] || fail "$2: the program answered: $answer"
  checked=$((checked + 1))
}

"$cmake" --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$prefix"
for file in bin/holdfast include/holdfast/holdfast.h lib/libholdfast.a lib/libholdfast.so lib/libholdfast.so.0 \
  lib/pkgconfig/holdfast.pc lib/cmake/holdfast/holdfast-config.cmake \
  lib/cmake/holdfast/holdfast-config-version.cmake; do
  [ -e "$prefix/$file" ] || fail "$file is not installed"
done
if [ -e "$source_dir/docs/holdfast.1" ]; then
  [ -e "$prefix/share/man/man1/holdfast.1" ] || fail "the manual page is not installed"
fi
for header in "$source_dir"/include/holdfast/*.h; do
  cmp -s "$header" "$prefix/include/holdfast/$(basename "$header")" || fail "$(basename "$header") is not installed"
done
if grep -rlF -e "$source_dir" -e "$build" -e "$work/first" "$prefix/lib/pkgconfig" "$prefix/lib/cmake"; then
  fail "an installed file names the folder it was built in"
fi
"$prefix/bin/holdfast" --version >/dev/null || fail "the installed program does not run"
version=$(sed -n 's/^#define HF_VERSION "\(.*\)"$/\1/p' "$source_dir/include/holdfast/holdfast.h")

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion holdfast)" = "$version" ] || fail "holdfast.pc has another version than the header"

# shellcheck disable=SC2046 # the flags are several words
"$compiler" "$source_dir/tests/build/user/main.c" -o "$work/shared" $(pkg-config --cflags --libs holdfast)
readelf -d "$work/shared" | grep -q 'libholdfast\.so\.0' || fail "the soname is not libholdfast.so.0"
LD_LIBRARY_PATH=$prefix/lib
export LD_LIBRARY_PATH
runs "$work/shared" "shared, by pkg-config"
unset LD_LIBRARY_PATH

cp -R "$prefix" "$work/static-only"
rm "$work"/static-only/lib/libholdfast.so*
PKG_CONFIG_PATH=$work/static-only/lib/pkgconfig
# shellcheck disable=SC2046
"$compiler" "$source_dir/tests/build/user/main.c" -o "$work/static" $(pkg-config --static --cflags --libs holdfast)
runs "$work/static" "static, by pkg-config"
unset PKG_CONFIG_PATH

for target in holdfast::holdfast holdfast::holdfast_static; do
  "$cmake" -S "$source_dir/tests/build/user" -B "$work/user" -G Ninja --fresh -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_PREFIX_PATH="$prefix" -DLIBRARY=$target -DVERSION="$version" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "$target: find_package"; }
  "$cmake" --build "$work/user" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "$target: build"; }
  runs "$work/user/user" "$target, by find_package"
done
if "$cmake" -S "$source_dir/tests/build/user" -B "$work/user" -G Ninja --fresh -DCMAKE_C_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$prefix" -DLIBRARY=holdfast::holdfast -DVERSION=99.0 >"$work/log" 2>&1; then
  fail "find_package(holdfast 99.0) was satisfied"
fi
echo "installed, moved, and used by $checked programs; version $version"
