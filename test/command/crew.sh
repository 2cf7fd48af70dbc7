#!/usr/bin/env bash
# weft stacks and weft top on goroutines that the library runs a function of its own around: of
# scopes and wait groups. They are known by the user's function, as in a dump. If it fails, all
# workers of a program are one line.
set -eu
export LC_ALL=C DEBUGINFOD_URLS=
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || { kill -9 "$pid"; wait "$pid"; } 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
failed=0
cat >crew.c <<'C'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <weft.h>

static weft_waitgroup group;

static int
cook(void *never)
{
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	__asm__ volatile("");
	return 0;
}

static void
waiter(void *never)
{
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	__asm__ volatile("");
}

int
main(void)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	weft_chan *never = weft_chan_new(0, 0);

	weft_signal_notify(weft_chan_new(sizeof(int), 1), SIGUSR1);
	for (int i = 0; i < 3; i++)
		weft_scope_go(s, cook, never);
	weft_waitgroup_go(&group, waiter, never);
	while (weft_dump_blocked(-1, 0) < 5)
		weft_sleep(1000000);
	printf("ready\n");
	fflush(stdout);
	sleep(600);
}
C
$CC -g -O1 -I"$WEFT_SRC/include" -o crew crew.c "$WEFT_BUILD/libweft.a" -pthread
mkfifo ready
./crew >ready &
pid=$!
read -r _ <ready
"$weft" stacks "$pid" >stacks
for who in cook waiter; do
	grep -A 2 "^$who(...)" stacks | grep -q '^created by main in goroutine 1$' || failed=1
done
[ "$(grep -c '^cook(...)' stacks)" -eq 3 ] || failed=1
# The library's own goroutine, which takes signals, is one frame.
grep -A 1 '^goroutine [0-9]* \[.*, "weft_signal"\]:$' stacks | grep -q '^serve(...)' || failed=1
! grep -q '^wf_\|^run' stacks || failed=1
"$weft" top --once "$pid" >top
grep -q '^ *3 chan receive .* cook$' top || failed=1
grep -q '^ *1 chan receive .* waiter$' top || failed=1
[ "$failed" -eq 0 ] || cat stacks top
exit $failed
