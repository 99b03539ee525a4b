#!/bin/sh
# Breaks the program on purpose, one patch of this folder at a time, and runs seeds until the
# simulation notices. Prints patch, seed and what did not hold; fails where nothing was noticed.
# Usage: run.sh [NAME...]; SEEDS= how many are tried for each, SIM_TARGET= where it is built.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
seeds=${SEEDS:-400}
work=${SIM_TARGET:-$root/target/sim-broken}
tree=$work/tree

rm -rf "$tree"
mkdir -p "$tree"
(cd "$root" && git ls-files -co --exclude-standard | tar -c -T -) | tar -x -C "$tree"
git -C "$tree" init -q

[ $# -gt 0 ] || set -- $(cd "$here" && ls ./*.patch | sed 's|^\./||; s|\.patch$||')
missed=0
printf '%-48s %6s  %s\n' "broken version" seed "what did not hold"
for name in "$@"; do
  git -C "$tree" apply "$here/$name.patch"
  if ! (cd "$tree" && CARGO_TARGET_DIR="$work/build" cargo build --locked --quiet \
    -p simulation-tests --bin adal-sim 2> "$work/build.log"); then
    printf '%-48s does not build, see %s\n' "$name" "$work/build.log"
    missed=1
  else
    "$work/build/debug/adal-sim" --seeds "$seeds" --stop > "$work/$name.log" 2>&1 || true
    found=$(sed -n 's/^seed \([0-9]*\): \(.*\); again.*/\1 \2/p' "$work/$name.log" | head -n 1)
    if [ -n "$found" ]; then
      printf '%-48s %6s  %s\n' "$name" "${found%% *}" "${found#* }"
    else
      printf '%-48s %6s  nothing in %s seeds\n' "$name" - "$seeds"
      missed=1
    fi
  fi
  git -C "$tree" apply -R "$here/$name.patch"
done
exit $missed
