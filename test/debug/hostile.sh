#!/usr/bin/env bash
# The debug endpoint under clients that mean harm: see hostile.py. If it fails, whoever can connect
# takes the endpoint from those who need it, or learns from it what is not for them.
# ctest: timeout=300
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sanitizer=
case $WEFT_SANITIZE in
address) sanitizer=-fsanitize=address,undefined ;;
thread) sanitizer=-fsanitize=thread ;;
esac
cat >"$work/crowd.c" <<'C'
#include <stdio.h>
#include <unistd.h>
#include <weft.h>

static void
waits(void *arg)
{
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

/* Many goroutines, so that a dump of them fills any socket; and an echo, to see that it goes on. */
int
main(void)
{
	weft_chan *never = weft_chan_new(0, 0);
	char c;

	for (int i = 0; i < 20000; i++)
		weft_go(waits, never);
	while (weft_dump_blocked(-1, 0) < 20000)
		weft_yield();
	while (read(0, &c, 1) == 1 && write(1, &c, 1) == 1)
		weft_yield();
	return 0;
}
C
# shellcheck disable=SC2086
$CC -O1 $sanitizer -I"$WEFT_SRC/include" -o "$work/crowd" "$work/crowd.c" \
    "$WEFT_BUILD/libweft.a" -pthread
WEFT_CROWD=$work/crowd python3 -B "$(dirname "$0")/hostile.py"
