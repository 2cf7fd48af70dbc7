#!/usr/bin/env bash
# ctest: timeout=400
# Runs tests of every kind of wait under valgrind's memcheck, which knows of goroutines' stacks: it
# must say nothing. And programs with a bug planted in a goroutine: it must find that.
set -u
[ -z "$WEFT_SANITIZE" ] || exit 77	# one at a time
command -v valgrind >/dev/null || { echo "no valgrind: run tools/setup test"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# memcheck STATUS NAME COMMAND...: 0 = nothing is reported, 99 = something is.
memcheck()
{
	local want=$1 name=$2 status
	shift 2
	valgrind -q --error-exitcode=99 "$@" >"$dir/log" 2>&1
	status=$?
	if [ $status -ne "$want" ] || { [ "$want" -eq 0 ] && grep -q '^==' "$dir/log"; }; then
		echo "$name: status $status, not $want"
		head -n 40 "$dir/log"
		failed=1
	fi
}

while read -r program test; do
	memcheck 0 "$program.$test" "$WEFT_BUILD/test/spec/$program" "$test"
done <<'LIST'
chan_basic elements_of_all_sizes
select_basic a_value_that_comes_later_goes_to_its_case
sync_cond a_broadcast_wakes_all
sync_mutex an_owner_may_park
sched_basic go_with_copies_its_argument
sched_basic goexit_runs_deferred_calls
io_stream a_large_write_arrives_whole_then_end_of_file
scope_waits every_kind_of_wait_ends
panic_try deferred_calls_of_many_frames_run
time_timer a_function_runs_in_a_goroutine_of_its_own
LIST

"$CC" -g -I"$WEFT_SRC/include" -o "$dir/planted" "$WEFT_SRC/test/sanitize/planted.c" \
    "$WEFT_BUILD/libweft.a" -pthread || exit 1
memcheck 0 planted.nothing "$dir/planted"
memcheck 99 planted.uninitialised "$dir/planted" uninitialised
memcheck 99 planted.freed "$dir/planted" freed
exit $failed
