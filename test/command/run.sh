#!/usr/bin/env bash
# weft run: the program that it starts gets the settings, and ends as it would without. If it
# fails, settings are lost in silence, or scripts around weft run take a failure for success.
set -eu
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset WEFT_DEBUG WEFT_MAXPROCS GOMAXPROCS WEFT_STACK
failed=0

expect() # STATUS TEXT COMMAND...: it ends so and prints TEXT, as a pattern, on both outputs
{
	local status=$1 text=$2 said got=0
	shift 2
	said=$("$@" 2>&1) || got=$?
	# shellcheck disable=SC2254
	case $said in
	$text) [ "$got" -ne "$status" ] || return 0 ;;
	esac
	echo "$*: status $got, not $status; or said: $said"
	failed=1
}
show='echo "${WEFT_MAXPROCS-} ${WEFT_STACK-} ${WEFT_DEBUG-}"'

# Settings.
expect 0 '  ' "$weft" run sh -c "$show"
expect 0 '3 1M schedtrace=5,scheddetail=1' \
    "$weft" run --procs 3 --stack=1M --schedtrace 5 --detail -- sh -c "$show"
expect 0 '7 512k crash=1,schedtrace=5' env WEFT_DEBUG=crash=1 WEFT_MAXPROCS=7 WEFT_STACK=9 \
    "$weft" run --stack 512k --schedtrace 5 sh -c "$show"
expect 0 '1024 16384 ' "$weft" run --procs 1024 --stack 16384 -- sh -c "$show"

expect 0 'a b.trace unix:/tmp/x y' "$weft" run --trace 'a b.trace' --http '/tmp/x y' -- \
    sh -c 'echo "$WEFT_TRACE $WEFT_HTTP"'
expect 0 127.0.0.1:0 "$weft" run --http 127.0.0.1:0 -- sh -c 'echo "$WEFT_HTTP"'
expect 0 unix:/x "$weft" run --http unix:/x -- sh -c 'echo "$WEFT_HTTP"'
if [ -z "$WEFT_SANITIZE" ]; then
	expect 0 'crash=1,lint=1 */weft/libweft-lint.so' env WEFT_DEBUG=crash=1 \
	    "$weft" run --lint -- sh -c 'echo "$WEFT_DEBUG $LD_PRELOAD"'
fi

# Arguments are the program's, also those that look like ours.
expect 0 '--procs 0 --' "$weft" run -- echo --procs 0 --
expect 0 '--procs 0' "$weft" run echo --procs 0
printf 'echo "dash $*"\n' >--help
chmod +x -- --help
expect 0 'dash a  b' env PATH="$work:$PATH" "$weft" run -- --help 'a  b'

# It ends as the program does, and is the program.
expect 7 '' "$weft" run sh -c 'exit 7'
expect 143 '' "$weft" run sh -c 'kill -TERM $$'
expect 127 '*nonesuch: No such file*' "$weft" run nonesuch
expect 127 '*: No such file*' "$weft" run ''
expect 126 '*/: Permission denied*' "$weft" run /
touch plain
expect 126 '*plain: Permission denied*' "$weft" run ./plain
expect 127 '*sh: No such file*' env -i "$weft" run ./sh

# What is wrong is refused, and nothing is started.
for bad in 0 -1 1025 2x x '' ' 2' 99999999999999999999; do
	expect 2 '*--procs: not a number from 1 to 1024*' "$weft" run --procs "$bad" echo started
done
for bad in 0 15K 1025M 2G K 1Kb 1.5M '' 18014398509481985K; do
	expect 2 '*--stack: not a size from 16K*' "$weft" run --stack "$bad" echo started
done
for bad in 0 -5 x 1s '' 1000000000 0000000001; do
	expect 2 '*--schedtrace: not a time in ms*' "$weft" run --schedtrace "$bad" echo started
done
for option in --trace --http; do
	expect 2 "*$option needs a value*" "$weft" run $option '' echo started
done
expect 2 '*--lint takes no value*' "$weft" run --lint=1 echo started
expect 2 '*--detail*' "$weft" run --detail echo started
expect 2 '*no program*weft help run*' "$weft" run
expect 2 '*no program*' "$weft" run --procs 2 --
expect 2 '*--procs needs a value*' "$weft" run --procs
expect 2 '*no such option: --porcs (did you mean --procs?)*' "$weft" run --porcs 2 echo started
expect 2 '*no such option: -x*' "$weft" run -x echo started

# And the runtime understands what it gets. The program runs until its input ends.
cat >program.c <<'C'
#include <stdio.h>
#include <weft.h>

/* 512 KiB of stack, page by page. */
static void
deep(void *done)
{
	volatile char frame[512 << 10];

	for (size_t i = sizeof(frame); i >= 1024; i -= 1024)
		frame[i - 1] = 1;
	weft_chan_close(done);
}

int
main(void)
{
	weft_chan *done = weft_chan_new(0, 0);
	char c;

	weft_go(deep, done);
	weft_chan_recv(done, NULL, WEFT_FOREVER);
	printf("procs %d\n", weft_gomaxprocs(0));
	return (int)weft_read(0, &c, 1, WEFT_FOREVER);
}
C
sanitizer=
case $WEFT_SANITIZE in
address) sanitizer=-fsanitize=address,undefined ;;
thread) sanitizer=-fsanitize=thread ;;
esac
$CC -Wall -Wextra -Werror -fstack-clash-protection $sanitizer -I"$WEFT_SRC/include" program.c \
    -o program "$WEFT_BUILD/libweft.a" -pthread
mkfifo input
"$weft" run --procs 3 --stack 2M --schedtrace 10 -- ./program <input >out 2>err &
program=$!
exec 3>input
until grep -q '^SCHED .*gomaxprocs=3' err; do
	kill -0 "$program" || { cat err; exit 1; }
	sleep 0.05
done
exec 3>&-
wait "$program"
expect 0 'procs 3' cat out
if [ -z "$WEFT_SANITIZE" ]; then
	expect 2 '*stack overflow*' ./program </dev/null
fi
exit "$failed"
