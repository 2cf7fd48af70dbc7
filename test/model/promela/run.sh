#!/usr/bin/env bash
# The protocols as Promela models, all of their states: the right one has no error, each wrong
# variant (a -D that the model's head names) has one. Needs spin; without it the test is skipped.
# Where a model has a property in LTL that is checked, too, with weak fairness. ctest: timeout=600
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "no spin here: tools/setup ci"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# pan FLAGS ARGUMENTS: builds and runs the checker. What it said is in pan.out.
pan()
{
	# shellcheck disable=SC2086 # a list of flags
	"${CC:-cc}" -O -w -DCOLLAPSE $1 -o pan pan.c
	shift
	./pan -m200000 "$@" >pan.out
	! grep -q 'max search depth too small' pan.out || { echo "too deep" >&2; return 1; }
	sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.out
}

# errors MODEL [-DVARIANT]: how many errors there are.
errors()
{
	spin -a "${@:2}" "$here/$1.pml" >spin.out 2>&1 || { cat spin.out >&2; return 1; }
	local n
	n=$(pan '-DSAFETY -DNOCLAIM')
	if [ "$n" = 0 ] && grep -q '^ltl ' "$here/$1.pml"; then
		n=$(pan '-DNFAIR=3' -a -f)
	fi
	echo "$n"
}

bad=0
for model in detach retake idle; do
	n=$(errors "$model")
	states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
	echo "$model: $n errors, $states states"
	[ "$n" = 0 ] || { bad=1; cat pan.out; }
	variants=$(sed -n '/Wrong variants/,/\*\//p' "$here/$model.pml" |
	    grep -oE 'NO_[A-Z0-9_]+')
	for variant in $variants; do
		n=$(errors "$model" "-D$variant")
		echo "$model, $variant: $n errors"
		[ "$n" != 0 ] || bad=1
	done
done
exit $bad
