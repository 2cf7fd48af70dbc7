#!/usr/bin/env bash
# The protocols as Promela models, all of their states: the right one has no error, each wrong
# variant (a -D that the model's head names) has one. Needs spin; without it the test is skipped.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "no spin here: tools/setup ci"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# errors MODEL [-DVARIANT]: how many errors there are; what the checker said is in pan.out.
errors()
{
	spin -a "${@:2}" "$here/$1.pml" >spin.out 2>&1 || { cat spin.out >&2; return 1; }
	"${CC:-cc}" -O1 -w -DSAFETY -DCOLLAPSE -o pan pan.c
	./pan -m200000 >pan.out
	! grep -q 'max search depth too small' pan.out || { echo "$1: too deep" >&2; return 1; }
	sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.out
}

bad=0
for model in detach retake; do
	n=$(errors "$model")
	states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)
	echo "$model: $n errors, $states states"
	[ "$n" = 0 ] || { bad=1; cat pan.out; }
	variants=$(sed -n '/Wrong variants/,/\*\//p' "$here/$model.pml" |
	    grep -oE 'NO_[A-Z0-9]+')
	for variant in $variants; do
		n=$(errors "$model" "-D$variant")
		echo "$model, $variant: $n errors"
		[ "$n" != 0 ] || bad=1
	done
done
exit $bad
