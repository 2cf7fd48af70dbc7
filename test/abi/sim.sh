#!/usr/bin/env bash
# libweft-sim is all of libweft and the calls of <weft/sim.h>; libweft has nothing of the simulator.
# If it fails, a test cannot link one instead of the other, or the simulator costs programs that
# have none.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

names() # LIBRARY
{
	nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u
}
names "$WEFT_BUILD/libweft.so" >"$work/weft"
names "$WEFT_BUILD/libweft-sim.so" >"$work/sim"
sed -n 's/^WEFT_API .*\b\(weft_sim_[a-z0-9_]*\)(.*/\1/p' "$WEFT_SRC/include/weft/sim.h" |
	sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -ge 6 ] || { echo "found too few functions in sim.h"; failed=1; }
sort "$work/weft" "$work/declared" | diff - "$work/sim" ||
	{ echo "libweft-sim is not libweft and sim.h"; failed=1; }
if nm "$WEFT_BUILD/libweft.a" | grep -E 'wf_(sim|real)_|weft_sim_'; then
	echo "libweft.a names the simulator"
	failed=1
fi
if grep -rnE 'wf_sim|wf_real|weft_sim' "$WEFT_SRC/src"; then
	echo "src/ knows of the simulator"
	failed=1
fi
exit $failed
