#!/usr/bin/env bash
# ctest: timeout=300
# A program built with ThreadSanitizer and this weft, which is not: by each compiler that is there,
# against the archive and the shared library. Nothing may be said of a program without a race, and
# each race that is planted must be found.
set -u
[ -z "$WEFT_SANITIZE" ] || exit 77	# then weft is instrumented itself: found.sh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TSAN_OPTIONS=atexit_sleep_ms=0
failed=0

say()
{
	echo "$1"
	head -n 40 "$dir/log"
	failed=1
}

# found BUG FUNCTION: in one of ten runs, because a race must happen to be seen.
found()
{
	for ((i = 0; i < 10; i++)); do
		"$dir/races" "$1" >"$dir/log" 2>&1
		! grep -q "^ *#0 $2 " "$dir/log" || return 0
	done
	say "$1: no race of $2() in 10 runs"
}

for link in "$WEFT_BUILD/libweft.a" "$WEFT_BUILD/libweft.so"; do
	"$CC" -g -O1 -fsanitize=thread -I"$WEFT_SRC/include" -o "$dir/races" \
	    "$WEFT_SRC"/test/sanitize/races*.c "$link" -Wl,-rpath,"$WEFT_BUILD" -pthread || exit 1
	for poller in epoll uring; do
		WEFT_POLLER=$poller "$dir/races" >"$dir/log" 2>&1 && [ ! -s "$dir/log" ] ||
		    say "a program without a race, $link, $poller:"
	done
done
found counter count_without
found goroutines count_one
found late count_one
found element read_elem
found channel send_pointers
found slot read_beside
found meeting read_beside
found loser read_beside
found mutex count_under_mutex
found rwmutex count_under_rwmutex
exit $failed
