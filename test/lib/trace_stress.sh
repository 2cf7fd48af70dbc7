# Go's own parser reads the traces of stress tests: sourced by test/trace/stress*.sh. It follows
# every goroutine, thread and processor, so it fails if an event is missing, doubled, or in the
# wrong order when many threads meet. Whether a test passes is its own affair.
#
#	feed chan_race ...	all tests of these programs of test/spec
#	traces_are_read N	the end: at least N were
set -eu
go=$("$WEFT_SRC/tools/find-go")
[ -n "$go" ] || { echo "no Go 1.23 or newer here; tools/setup ci installs one"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 777 "$work"		# some tests drop their privileges before their first call
cd "$work"
export HOME=$work GOTELEMETRY=off GOFLAGS=
failed=0 read=0

# Nobody is left to end the trace of the first two: another program has taken the process over, or
# _exit(2). The others never start the runtime.
leaves_nothing() # PROGRAM.NAME
{
	case $1 in
	sched_threads.exec_amid_detaches_is_clean) ;;
	sched_threads.detached_goroutines_are_named_in_the_dump) ;;
	sync_mutex.trylock_succeeds_when_free_and_only_then) ;;
	sync_mutex.sizes_are_as_promised) ;;
	sync_sem.the_largest_semaphore_works) ;;
	*) return 1 ;;
	esac
}

feed_one() # PROGRAM NAME
{
	rm -f trace
	WEFT_TRACE=$work/trace "$WEFT_BUILD/test/spec/$1" "$2" >said 2>&1 </dev/null || true
	if grep -q '^skipped' said || leaves_nothing "$1.$2"; then
		return
	elif ! [ -s trace ]; then
		echo "$1.$2: there is no trace"
		head -c 500 said
		failed=1
	elif ! "$go" tool trace -d=1 trace >/dev/null 2>errors; then
		echo "$1.$2: Go refuses its trace:"
		head -c 2000 errors
		failed=1
	fi
	read=$((read + 1))
}

feed() # PROGRAM...
{
	local program name
	for program; do
		sed -n 's/^TEST(\([a-z0-9_]*\)).*/\1/p' "$WEFT_SRC/test/spec/$program.c" >names
		while read -r name; do
			feed_one "$program" "$name"
		done <names
	done
}

traces_are_read() # AT_LEAST
{
	[ "$read" -ge "$1" ] || { echo "only $read tests were found"; failed=1; }
	exit "$failed"
}
