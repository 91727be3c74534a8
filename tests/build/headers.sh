#!/bin/sh
# headers.sh [CC]: each public header compiles alone, strictly, as C11 and as C++.
set -eu
source_dir=${HOLDFAST_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compiled=0

# try COMPILER LANGUAGE-FLAGS HEADER
try() {
  printf '#include <holdfast/%s>\n#include <holdfast/%s>\nint main(void) { return 0; }\n' "$3" "$3" >"$work/one.$4"
  # shellcheck disable=SC2086 # the flags are several words
  "$1" $2 -pedantic -Wall -Wextra -Wundef -Werror -I"$source_dir/include" -c "$work/one.$4" -o "$work/one.o"
  compiled=$((compiled + 1))
}

languages=0
for compiler in ${1:-cc} gcc clang g++ clang++; do
  command -v "$compiler" >/dev/null || continue
  languages=$((languages + 1))
  for header in "$source_dir"/include/holdfast/*.h; do
    name=$(basename "$header")
    case $compiler in
      *++) for standard in 11 17; do try "$compiler" "-std=c++$standard -Wno-variadic-macros" "$name" cpp; done ;;
      *) try "$compiler" "-std=c11 -Wstrict-prototypes -Wconversion" "$name" c ;;
    esac
  done
done

# A header that needs another one first would be noticed: this one does.
printf 'uint64_t needs_stdint(void);\n' >"$work/broken.h"
printf '#include "broken.h"\n' >"$work/broken.c"
if ${1:-cc} -std=c11 -I"$work" -c "$work/broken.c" -o "$work/one.o" 2>/dev/null; then
  echo "the control failed: a header that does not stand alone compiled" >&2
  exit 1
fi
echo "$compiled compilations by $languages compilers, all clean; the control was refused"
