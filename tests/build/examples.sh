#!/bin/sh
# examples.sh CMAKE BUILD CC: examples/c is built against an installed tree, by find_package and by pkg-config, and does
# what examples/README.md says.
set -eu
cmake=$1
build=$2
compiler=$3
source_dir=${HOLDFAST_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# tells PROGRAM WHAT: two runs of the example, the second of which tells what changed.
tells() {
  rm -rf "$work/store"
  "$work/tree/bin/holdfast" --quiet init "$work/store" --locker flock --force >/dev/null
  status=0
  "$1" "$work/store" monday 0.1 >"$work/first" || status=$?
  [ "$status" -eq 3 ] || fail "$2: the first run ended with status $status"
  grep -q '^the first run of its kind$' "$work/first" || fail "$2: $(cat "$work/first")"
  "$1" "$work/store" tuesday 0.2 >"$work/second" || fail "$2: the second run failed"
  for line in '^saved: seq 2$' '^since run monday (seq 1): major$' \
    '^  /process/model/learning_rate: 0\.1 -> 0\.2, by 0\.1$' '^  /outputs/metrics/loss: .*, by -'; do
    grep -q "$line" "$work/second" || fail "$2: no line like $line in: $(cat "$work/second")"
  done
  status=0
  "$1" "$work/nowhere" monday 0.1 2>"$work/error" || status=$?
  [ "$status" -eq 1 ] || fail "$2: without a store: status $status"
  grep -q "^train: open: $work/nowhere" "$work/error" || fail "$2: $(cat "$work/error")"
}

"$cmake" --install "$build" --prefix "$work/tree" >/dev/null
cp -R "$source_dir/examples/c" "$work/c"
"$cmake" -S "$work/c" -B "$work/by-cmake" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" \
  -DCMAKE_PREFIX_PATH="$work/tree" >"$work/log" 2>&1 || fail "find_package: $(cat "$work/log")"
"$cmake" --build "$work/by-cmake" >"$work/log" 2>&1 || fail "build: $(cat "$work/log")"
tells "$work/by-cmake/train" "find_package"
PKG_CONFIG_PATH=$work/tree/lib/pkgconfig make -C "$work/c" CC="$compiler" >"$work/log" 2>&1 ||
  fail "make: $(cat "$work/log")"
LD_LIBRARY_PATH=$work/tree/lib
export LD_LIBRARY_PATH
tells "$work/c/train" "pkg-config"
echo "examples/c was built and run in two ways"
