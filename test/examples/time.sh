#!/usr/bin/env bash
# What examples/ticker and examples/scopes print, on one processor and on several. A tutorial's
# program that prints something else than it says is worse than none.
set -eu

bin=${WEFT_BUILD:?}/examples

check()
{
	if [ "$2" != "$3" ]; then
		printf '%s: expected\n%s\ngot\n%s\n' "$1" "$2" "$3" >&2
		exit 1
	fi
}

for procs in 1 2 4; do
	export WEFT_MAXPROCS=$procs
	check "ticker, $procs processors" "10 beats, 10 on the grid, 0 early
slow reader: 3 beats, 3 on the grid, beats were skipped: yes
stop: prevented a beat
silence
alarm was pending
alarm rang 1 time" "$("$bin/ticker" 10)"

	check "scopes, $procs processors" "race: answered by hare, 0 left running
china shop: failed with EIO, 0 left running
silence: timed out, 0 left running" "$("$bin/scopes")"
done
