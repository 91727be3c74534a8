#!/bin/sh
# includes.sh CMAKE CC: a file that includes what its folder may not use does not compile. Tried in a copy of the tree,
# with one planted file at a time; a planted file with a right include shows that the trial itself works.
set -eu
cmake=$1
compiler=$2
source_dir=${HOLDFAST_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
cd "$source_dir"
cp -R CMakeLists.txt cmake include core lockers cli "$work/tree"
cd "$work/tree"
# One file a folder is enough, and a header of each folder that nobody else has.
rm -f core/*.c core/base/*.c lockers/*.c cli/*.c
for folder in core core/base lockers; do
  echo 'typedef int hf_planted_type;' >"$folder/only_$(basename "$folder").h"
done
checked=0

# trial FOLDER HEADER right|wrong
trial() {
  # A new name each time: a file written within one tick of the last object file would not be built again.
  file=$1/trial_$checked.c
  printf '#include %s\ntypedef int hf_trial;\n' "$2" >"$file"
  target=hf_$(basename "$1")
  "$cmake" -S . -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DHOLDFAST_TESTS=OFF >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
  outcome=wrong
  if "$cmake" --build "$work/build" --target "$target" >"$work/log" 2>&1; then outcome=right; fi
  rm "$file"
  # It must fail for the right reason.
  if [ "$outcome" = wrong ] && ! grep -q 'trial_[0-9]*\.c.*\(No such file\|file not found\)' "$work/log"; then
    outcome=unclear
  fi
  if [ "$outcome" != "$3" ]; then
    cat "$work/log"
    echo "FAILED: $1 with #include $2: expected $3, got $outcome" >&2
    exit 1
  fi
  checked=$((checked + 1))
}

trial core '"only_core.h"' right
trial core '"only_base.h"' right
trial core '<holdfast/holdfast.h>' right
trial core '"only_lockers.h"' wrong
trial lockers '"only_lockers.h"' right
trial lockers '"only_base.h"' right
trial lockers '"only_core.h"' wrong
trial core/base '"only_base.h"' right
trial core/base '"only_core.h"' wrong
trial core/base '"only_lockers.h"' wrong
trial cli '<holdfast/holdfast.h>' right
trial cli '"only_base.h"' wrong
trial cli '"only_core.h"' wrong
trial cli '"only_lockers.h"' wrong
echo "$checked includes tried, each compiled or was refused as it should"
