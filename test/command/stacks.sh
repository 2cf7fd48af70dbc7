#!/usr/bin/env bash
# weft stacks and weft symbolize: functions and lines of goroutines, of a process that is not asked
# and from a dump. If it fails, whoever looks at a program that hangs sees nothing, or wrong lines.
# ctest: timeout=600
set -eu
export LC_ALL=C DEBUGINFOD_URLS=
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
failed=0

expect() # FILE TEXT...: the file has these lines, whole, one after the other; .* stands for any
{
	python3 - "$@" <<'PY' || failed=1
import re, sys
text = open(sys.argv[1]).read()
if not re.search("(?m)^" + "\n".join(sys.argv[2:]) + "$", text):
    print("%s: not there:" % sys.argv[1], *sys.argv[2:], sep="\n  ")
    print(text)
    sys.exit(1)
PY
}
status() # NUMBER COMMAND...
{
	local want=$1 got=0
	shift
	"$@" >said 2>&1 || got=$?
	[ "$got" -eq "$want" ] || { echo "$*: status $got, not $want: $(cat said)"; failed=1; }
}
line() # TEXT: where it stands in stuck.c
{
	grep -n -m 1 -F "$1" "$WEFT_SRC/test/gdb/stuck.c" | cut -d: -f1
}
source=".*/stuck.c"
place="	$source:[0-9]+ \+0x[0-9a-f]+"
receiver=('receive_here\(...\)' "$place" 'deeper\(...\)' "$place" 'deeper\(...\)' "$place"
    'deeper\(...\)' "$place" 'deeper\(...\)' "$place" 'receiver\(...\)' "$place"
    'created by main in goroutine 1')

$CC -g -O1 -fno-omit-frame-pointer -I"$WEFT_SRC/include" -o stuck "$WEFT_SRC/test/gdb/stuck.c" \
    "$WEFT_BUILD/libweft.a" -pthread
mkfifo ready
# With labels for gdb, in the header of a dump, which the parser below does not know.
WEFT_DEBUG=tracebacklabels=0 ./stuck >ready 2>dump &
pid=$!
read -r _ <ready

# From outside.
"$weft" stacks "$pid" >stacks
expect stacks 'goroutine 1 \[running, .*thread [0-9]+\]:' '	goroutine running on other thread.*'
expect stacks 'goroutine 2 \[chan receive.*, "receiver"\]:' 'weft_chan_recv\(...\)' \
    '.*/transfer.c:.*' "${receiver[@]}" ".*/stuck.c:$(line 'weft_go_with(') \+0x[0-9a-f]+"
expect stacks 'goroutine 3 \[select.*\]:' 'weft_select\(...\)' '.*' 'chooser\(...\)' '.*' \
    'created by main in goroutine 1' "	$source:$(line 'weft_go(chooser') \+0x[0-9a-f]+"
"$weft" stacks --all "$pid" >all
expect all 'wf_park\(...\)' '.*/src/sched/park.c:.*'
"$weft" stacks --blocked 1000 "$pid" >blocked
[ ! -s blocked ] || { echo "nobody has waited so long:"; cat blocked; failed=1; }

# The same, counted.
"$weft" top "$pid" >top
expect top 'process [0-9]+: 4 goroutines, .* processors, .*'
expect top ' *P status  .*'
expect top ' *0 (idle|running) .*'
expect top ' *1 chan receive  .* receiver'
expect top ' *1 running  .* main'
# And on a terminal, until q or the end.
[ "$(script -qec "TERM=vt100 $weft top --delay 1 $pid" /dev/null <<<q | tr -d '\r' |
    grep -c '4 goroutines')" -ge 1 ] || { echo "nothing on a terminal"; failed=1; }
status 2 "$weft" top --delay 0 "$pid"
status 2 "$weft" top
status 3 "$weft" top $$

# What can't be looked at.
status 3 "$weft" stacks $$
status 3 "$weft" stacks 999999999
for bad in '' x 0 -1 1x 99999999999999; do
	status 2 "$weft" stacks "$bad"
done
status 2 "$weft" stacks
status 2 "$weft" stacks 1 2
status 2 "$weft" stacks --blocked x 1

# One that is traced has the library's file mapped once more, as a whole, to name functions.
$CC -g -O1 -fno-omit-frame-pointer -I"$WEFT_SRC/include" -o stuck-shared \
    "$WEFT_SRC/test/gdb/stuck.c" -L"$WEFT_BUILD" -Wl,-rpath,"$WEFT_BUILD" -lweft -pthread
for variable in "WEFT_TRACE=$work/trace" "WEFT_FLIGHT=$work/flight"; do
	mkfifo "${variable%%=*}"
	env "$variable" ./stuck-shared >"${variable%%=*}" 2>/dev/null &
	traced=$!
	read -r _ <"${variable%%=*}"
	until [ "$(grep -c 'r--p 00000000 .*/libweft\.so' /proc/$traced/maps)" -ge 2 ] ||
	    [ $((tries = ${tries:-0} + 1)) -gt 600 ]; do
		sleep 0.1
	done
	"$weft" stacks "$traced" >stacks-traced 2>&1 || true
	expect stacks-traced \
	    'goroutine 2 \[chan receive.*, "receiver"\] \{by: "a b", request: 17\}:'
	expect stacks-traced 'goroutine 3 \[select.*\] \{request: 17\}:'
	expect stacks-traced 'goroutine 4 \[sync.Mutex.Lock.*\]:'
	kill -9 $traced
	wait $traced 2>/dev/null || true
done

# What is not what it seems: lists that go round for ever, records of all sizes. Whoever looks is
# not held up, and does not fall.
cat >hostile.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <weft/debug.h>

static struct { void *next; char bound[64]; unsigned long n_p; } m = { &m, "", ~0UL };
static struct { void *next, *g; } chunk = { &chunk, &m };
static void *m_list = &m, *chunks = &chunk;

weft_debug_layout_table lies __asm__("weft_debug_layout") = {
	.magic = "weftdbg", .version = 1, .size = sizeof(lies), .n_reasons = ~0UL,
	.sched = &m_list, .chunks = &chunks, .reasons = &m, .entry = &m,
	.fields = {
		{ "g", 64, 0 }, { "g.id", 8, 8 }, { "chunk.n", 100, 0 }, { "chunk.g", 8, 8 },
		{ "m.next", 0, 8 }, { "m.bound", 8, 0 }, { "chunk.next", 0, 8 },
		{ "sched.m", 0, 8 }, { "sched.n_p", 72, 4 }, { "g.hi", 0, 8 },
	},
};

int
main(int argc, char **argv)
{
	m.bound[8] = 1;
	if (argc > 2)		/* a record of that size */
		lies.fields[0].offset = strtoul(argv[2], NULL, 0);
	if (argc > 1)		/* so many in a chunk */
		lies.fields[2].offset = strtoul(argv[1], NULL, 0);
	puts("ready");
	fflush(stdout);
	pause();
}
C
$CC -g -rdynamic -I"$WEFT_SRC/include" -o hostile hostile.c
for lie in '100 64' '0xffffffff 64' '100 0xffffffff'; do
	# shellcheck disable=SC2086
	coproc ./hostile $lie
	hostile=$COPROC_PID
	read -r _ <&"${COPROC[0]}"
	for command in stacks 'top --once'; do
		got=0
		timeout 60 "$weft" $command "$hostile" >said 2>&1 || got=$?
		case $got in
		0 | 3) ;;
		*) echo "$command of a liar ($lie): status $got: $(tail -c 500 said)"; failed=1 ;;
		esac
		[ "$(wc -c <said)" -le 1000000 ] || { echo "$command believes a liar"; failed=1; }
	done
	kill "$hostile"
	wait "$hostile" 2>/dev/null || true
done

# From its dump.
kill -QUIT "$pid"
wait "$pid" || true
pid=
"$weft" symbolize dump >lines
expect lines 'goroutine 2 \[chan receive.*, "receiver"\]:' 'weft_chan_recv\(...\)' \
    '.*/transfer.c:.*' "${receiver[@]}" ".*/stuck.c:$(line 'weft_go_with(') \+0x[0-9a-f]+"
[ "$(grep -c . dump)" -le "$(grep -c . lines)" ] || { echo "lines are lost"; failed=1; }
# A parser of Go's tracebacks reads it, all goroutines: as the program wrote it, and each frame with
# its line, from outside or afterwards.
parsed() # FILE: what it makes of it, nothing left over
{
	panicparse -parse=false -rebase=false <"$1" >parsed
	! grep -q '^goroutine \|^	\|^Failed' parsed ||
	    { echo "$1: lines are not understood"; cat parsed; failed=1; }
	expect parsed '1: running' ' .*'
}
parsed dump
expect parsed '1: chan receive.* \[Created by .main in goroutine 1 @ \?.c:0\]' \
    ' *\?.c:0 *weft_chan_recv\(...\)' ' *\?.c:0 *receive_here\(...\)' ' *\?.c:0 *deeper\(...\)'
expect parsed '1: sync.Mutex.Lock.*' ' *\?.c:0 *weft_mutex_lock\(...\)' ' *\?.c:0 *locker\(...\)'
expect parsed '1: select.*' ' *\?.c:0 *weft_select\(...\)' ' *\?.c:0 *chooser\(...\)'
"$weft" symbolize --go dump >go
for file in stacks go; do
	parsed $file
	expect parsed '1: chan receive.* \[Created by .main in goroutine 1 @ stuck.c:[0-9]*\]' \
	    ' *transfer.c:[0-9]* *weft_chan_recv\(...\)' \
	    " *stuck.c:$(($(line 'weft_chan_recv(c')))  *receive_here\(...\)" \
	    ' *stuck.c:[0-9]* *deeper\(...\)'
	expect parsed '1: sync.Mutex.Lock.*' ' *mutex.c:.*' ' *stuck.c:[0-9]* *locker\(...\)'
	expect parsed '1: select.*' ' *select.c:.*' ' *stuck.c:[0-9]* *chooser\(...\)'
done
# What it does not know stays.
printf 'x\n	/no/such/?.c:0 +0x12\n	/no/such +0x12\nno newline' >odd
"$weft" symbolize <odd | cmp - odd || failed=1
"$weft" symbolize /dev/null - <odd | cmp - odd || failed=1
status 1 "$weft" symbolize nonesuch odd
grep -q 'no newline' said || failed=1
exit $failed
