#!/usr/bin/env bash
# The explorer's strategies and its replay, on programs that were made wrong: each strategy alone
# finds the failure, and the printed choices lead to the same steps and the same end again. A race
# is told with both of its accesses.
set -euo pipefail
wrong=$WEFT_BUILD/test/model/model_wrong_
pair='data race: thread [0-9] .* at .*, then thread [0-9] .* at .*, unordered'
bad=0

# What was printed of an execution, but for addresses, which differ from run to run.
steps()
{
	sed -n "/^$1: FAILS/d; /^$1: [^B].*[a-z]/,/replay:/p" | grep -v 'executions' |
	    sed -E 's/= 0x[0-9a-f]{6,}//'
}

# check STRATEGY MUTANT SCENARIO [TEXT]: it is found, and TEXT is told.
check()
{
	local found again how
	if found=$(WEFT_MODEL_BY=$1 "$wrong$2" "$3"); then
		echo "$1: finds nothing in $3"
		bad=1
		return
	fi
	how=$(sed -n 's/^ *replay: --replay [^ ]* //p' <<<"$found")
	if again=$("$wrong$2" --replay "$3" "$how"); then
		echo "$1: the replay of $3 $how does not fail"
		bad=1
	fi
	if ! diff <(steps "$3" <<<"$found") <(steps "$3" <<<"$again"); then
		echo "$1: the replay of $3 $how is another one"
		bad=1
	fi
	grep -qE "${4:-not so}" <<<"$again" || { echo "$1: not told: ${4:-not so}"; bad=1; }
	[ "$(steps "$3" <<<"$again" | wc -l)" -gt 3 ] || { echo "$1: no steps"; bad=1; }
	echo "$1: $3 is found and replayed: $how"
}

for strategy in random pct all bounded; do
	check "$strategy" timer_p0_first moved_and_looked_for
done
check random poll_two_turns two_readers_take_turns "$pair"
exit $bad
