#!/usr/bin/env bash
# Each subscriber gets what its topic and its policy say: all and in order, or all but what was
# dropped and counted, or the beginning. A publisher that skips a subscriber that left, or waits for
# one that is gone, is found here.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pubsub=$WEFT_BUILD/examples/pubsub
failed=0

{
	for ((i = 1; i <= 3000; i++)); do
		echo "topic$((i * 7919 % 3)) message $i"
	done
	for ((i = 1; i <= 2000; i++)); do
		echo "flood drop $i"
	done
	echo "nobody hears this"
	echo "bare"
	for ((i = 1; i <= 100; i++)); do
		echo "topic1 last $i"
	done
} >"$work/in"
cat >"$work/check.py" <<'PY'
"""Compares what subscribers printed with what was published."""
import sys

published, printed = {}, {}
for line in open(sys.argv[1]):
    topic, _, text = line.rstrip("\n").partition(" ")
    published.setdefault(topic, []).append(text)
for line in open(sys.argv[2]):
    name, _, text = line.rstrip("\n").partition(": ")
    printed.setdefault(name, []).append(text)
QUEUE = 8


def ended(name, topic):
    *got, last = printed[name]
    received, dropped = int(last.split()[0]), int(last.split()[2])
    assert received == len(got), (name, last, len(got))
    rest = iter(published.get(topic, []))
    assert all(text in rest for text in got), f"{name}: not in order"
    return got, dropped, last.partition("dropped")[2]


for name, topic in (("all0", "topic0"), ("all1", "topic1"), ("too", "topic1"), ("bare", "bare")):
    got, dropped, how = ended(name, topic)
    assert (got, dropped, how) == (published[topic], 0, ""), name
for name, count in (("ten", 10), ("one", 1)):
    got, dropped, how = ended(name, "topic1")
    assert (got, dropped, how) == (published["topic1"][:count], 0, ", unsubscribed"), name
got, dropped, how = ended("new", "flood")
assert len(got) + dropped == 2000 and dropped > 0 and how == "", (len(got), dropped)
assert got[:QUEUE] == published["flood"][:QUEUE]
got, dropped, how = ended("old", "flood")
assert len(got) + dropped == 2000 and dropped > 0 and how == "", (len(got), dropped)
assert got[-QUEUE:] == published["flood"][-QUEUE:]
got, dropped, how = ended("cut", "flood")
assert got == published["flood"][:len(got)] and QUEUE <= len(got) < 2000, len(got)
assert (dropped, how) == (0, ", cut off")
assert ended("none", "none") == ([], 0, "")
PY
for procs in 1 2 4; do
	WEFT_MAXPROCS=$procs timeout 100 "$pubsub" all0=topic0 all1=topic1,wait too=topic1 \
	    ten=topic1,wait,10 one=topic1,wait,1 new=flood,drop-new old=flood,drop-old \
	    cut=flood,cut bare=bare none=none <"$work/in" >"$work/out" ||
		{ echo "status $?"; failed=1; }
	python3 "$work/check.py" "$work/in" "$work/out" || failed=1
done

[ "$("$pubsub" a=b </dev/null)" = "a: 0 received, 0 dropped" ] || { echo "no input"; failed=1; }
"$pubsub" <"$work/in" || { echo "no subscribers: status $?"; failed=1; }
for wrong in "a" "a=b,never" "a=b,wait,0" "a=b,wait,x"; do
	status=0
	"$pubsub" "$wrong" </dev/null 2>/dev/null || status=$?
	[ $status = 64 ] || { echo "accepted: pubsub $wrong"; failed=1; }
done
# Input that can't be read, and a line without end.
status=0
"$pubsub" a=b <"$work" >/dev/null 2>"$work/err" || status=$?
[ $status = 1 ] && grep -q '^pubsub: Is a directory$' "$work/err" ||
	{ echo "a directory: status $status, $(cat "$work/err")"; failed=1; }
status=0
head -c 100000 /dev/zero | tr '\0' x | "$pubsub" a=b >/dev/null 2>&1 || status=$?
[ $status = 1 ] || { echo "an endless line: status $status"; failed=1; }

# Interrupted while it waits for input: all that was published still arrives.
mkfifo "$work/fifo"
"$pubsub" a=b <"$work/fifo" >"$work/out" &
pid=$!
exec 9>"$work/fifo"
echo "b hello" >&9
# It catches SIGINT first of all; the line has been read when the pipe is empty.
until grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status && python3 -c '
import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(9, termios.FIONREAD, b"0000"))[0] != 0)'; do
	sleep 0.05
done
kill -INT $pid
status=0
wait $pid || status=$?
[ "$(cat "$work/out")" = $'a: hello\na: 1 received, 0 dropped' ] && [ $status = 130 ] ||
	{ echo "interrupted: status $status, $(cat "$work/out")"; failed=1; }
exit "$failed"
