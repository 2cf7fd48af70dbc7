#!/usr/bin/env bash
# weft trace convert: what it writes is read by others, and says what the trace says; what is no
# trace, or a wrong one, is refused by name. If it fails, a viewer shows nothing, or something that
# was not so.
# ctest: timeout=120
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
weft=$WEFT_BUILD/bin/weft
load=$WEFT_BUILD/test/trace/load
failed=0
bad()
{
	echo "$@"
	failed=1
}

# Of every shape: each goroutine is in one state at a time, all the time; no P has two.
shapes='chan select net detach syscall locked foreign spawn user quiet'
for shape in $shapes; do
	WEFT_TRACE=$shape.trace WEFT_DEBUG=traceadvanceperiod=30000000 "$load" "$shape"
	"$weft" trace convert --output "$shape.json" "$shape.trace" || bad "$shape: not read"
	"$weft" trace convert --to pprof "$shape.trace" >"$shape.pprof" || bad "$shape: not read"
	"$weft" trace convert - <"$shape.trace" | cmp - "$shape.json"
done
# shellcheck disable=SC2086
python3 - $shapes <<'PY' || failed=1
import collections, decimal, json, sys

def check(shape, what, that):
    if not that:
        print(f"{shape}: {what}")
        check.failed = True
check.failed = False

wanted = {
    "chan": {"chan receive", "sleep", "running", "runnable"},
    "select": {"select"},
    "net": {"network"},
    "detach": {"syscall", "running"},
    "syscall": {"syscall"},
    "locked": {"sync", "sleep"},
    "foreign": {"chan receive"},
    "spawn": {"sleep", "runnable"},
    "user": {"sleep", "order", "payment", "lock and sleep", "inner", "customer"},
    "quiet": {"chan receive"},
}
for shape in sys.argv[1:]:
    with open(shape + ".json") as f:
        trace = json.load(f, parse_float=decimal.Decimal)
    rows = collections.defaultdict(list)
    open_regions = collections.Counter()
    for e in trace["traceEvents"]:
        check(shape, f"an event without {e}", {"ph", "pid", "tid", "name"} <= e.keys())
        if e["ph"] == "X":
            rows[e["pid"], e["tid"]].append((e["ts"], e["dur"]))
            check(shape, f"no such stack: {e}",
                  "sf" not in e or str(e["sf"]) in trace["stackFrames"])
        elif e["ph"] in "be":
            open_regions[e["cat"], e["id"], e["name"]] += 1 if e["ph"] == "b" else -1
    for frame in trace["stackFrames"].values():
        check(shape, "a frame without its caller",
              "parent" not in frame or frame["parent"] in trace["stackFrames"])
    for (pid, tid), spans in rows.items():
        spans.sort()
        for (ts, dur), (next_ts, _) in zip(spans, spans[1:]):
            if pid == 1:
                check(shape, f"P {tid} runs two at {next_ts}", ts + dur <= next_ts)
            else:
                check(shape, f"goroutine {tid} is lost or doubled at {next_ts}",
                      ts + dur == next_ts)
    if shape == "user":
        # It may have begun some before the trace has; nothing ends that has not begun.
        check(shape, f"regions are open: {open_regions}", max(open_regions.values()) == 0)
    names = {e["name"] for e in trace["traceEvents"]}
    check(shape, f"no {wanted[shape] - names}", wanted[shape] <= names)
    functions = {f["name"] for f in trace["stackFrames"].values()}
    check(shape, "no names of functions", any(f.startswith("weft_") for f in functions))
sys.exit(check.failed)
PY

# Go's tool makes a profile of waits, too: the same, where each wait is ended by a goroutine. (Of
# those that a deadline ends it takes the next event for the end.)
go=$("$WEFT_SRC/tools/find-go")
if [ -n "$go" ]; then
	export HOME=$work GOTELEMETRY=off GOFLAGS= PPROF_TMPDIR=$work
	top()
	{
		"$go" tool pprof -symbolize=none -top -nodefraction=0 "$1"
	}
	for shape in chan net detach locked; do
		"$go" tool trace -pprof=sync "$shape.trace" >go.pprof
		"$weft" trace convert --to pprof --only sync "$shape.trace" >ours.pprof
		top go.pprof | grep '%  ' | sort >go.top
		top ours.pprof | grep '%  ' | sort >ours.top
		[ -s go.top ]
		diff go.top ours.top || bad "$shape: Go's profile is another"
	done
	top net.pprof | grep -q ' weft_read$' || bad "no wait for the network"
	top syscall.pprof | grep -q ' calls$' || bad "no calls"
	"$go" tool pprof -symbolize=none -tags net.pprof >tags
	grep -q ': network$' tags || bad "no reason"
	grep -q ': reader$' tags || bad "no function of a goroutine"
	for only in net sched syscall; do
		"$weft" trace convert --to pprof --only $only --output $only.pprof syscall.trace
		top $only.pprof >$only.top
	done
	grep -q ' calls$' syscall.top || bad "no calls among calls"
	! grep -q ' calls$' net.top || bad "a call is no wait for the network"
	grep -q ' yields$' sched.top || bad "no wait for a processor"
fi

# What is wrong is said, with its place, and nothing is written.
refused() # STATUS TEXT ARGUMENT...
{
	local status=$1 text=$2 got=0
	shift 2
	"$weft" trace "$@" >out 2>err || got=$?
	[ "$got" -eq "$status" ] || bad "trace $*: status $got, not $status"
	[ ! -s out ] || bad "trace $*: something is written"
	grep -qF -- "$text" err || bad "trace $*: not said: $text; but: $(cat err)"
}
python3 - <<'PY'
def varint(v):
    out = b""
    while v >= 128:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])
def batch(payload, gen=1, thread=7, time=100):
    return b"\1" + b"".join(map(varint, (gen, thread, time, len(payload)))) + payload
head = b"go 1.22 trace\0\0\0"
clock = batch(b"\x08" + varint(10**9))
status = batch(bytes([13, 1, 0, 1,  25, 1, 1, 7, 2]))	# P 0 runs, and on it goroutine 1
good = open("chan.trace", "rb").read()
files = {
    "empty": b"",
    "text": b"{\"traceEvents\":[]}",
    "newer": b"go 1.26 trace\0\0\0",
    "header": head,
    "tiny": head + clock + status,
    "cut": good[:-3],
    "head": head + b"\1\1",
    "junk": head + b"\0",
    "gen0": head + batch(b"", gen=0),
    "gen9": head + clock + batch(b"\x08\1", gen=9),
    "large": head + batch(b"\x0b\1" * 40000),
    "noclock": head + status,
    "clocks": head + clock + clock,
    "kind": head + clock + batch(b"\x1e\1"),
    "string": head + clock + batch(b"\4\5\1\x7fabc"),
    "twice": head + clock + batch(b"\4\5\1\1a\5\1\1b"),
    "frame": head + clock + batch(b"\2\3\1\1\1\5\0\0"),
    "short": head + clock + batch(b"\x10\1\1"),
    "long": head + clock + batch(b"\x10\1" + b"\xff" * 11),
    "stack": head + clock + status + batch(bytes([20, 1, 0, 99])),
    "reason": head + clock + status + batch(bytes([20, 1, 99, 0])),
    "late": head + clock + batch(b"\x0b" + varint(2**63), time=2**63 + 5),
    "block": head + clock + batch(bytes([20, 1, 0, 0])),
    "number": head + clock + status + batch(bytes([25, 1, 2, 0, 1,  19, 1, 0, 0,  16, 1, 2, 2])),
    "state": head + clock + batch(bytes([25, 1, 2, 0, 9])),
    "again": head + clock + status + batch(bytes([14, 1, 1, 0, 0])),
    # Goroutine 2 waits, says thread 8 at 1 us; on 7 the next generation has begun long before: 1
    # blocks at 202 ns, and the P stops at 2 us.
    "behind": head + clock + status +
        batch(b"\x19" + varint(900) + b"\2" + varint(2**64 - 1) + b"\4", thread=8) +
        batch(b"\x08" + varint(10**9), gen=2) +
        batch(status[-9:] + b"\x14\0\0\0" + b"\x0b" + varint(1798), gen=2, time=200),
}
for name, data in files.items():
    open(name, "wb").write(data)
PY
refused 1 'byte 0: not a trace' convert empty
refused 1 'byte 0: not a trace' convert text
refused 1 'byte 0: not a trace' convert newer
refused 1 'byte 0: not a trace' convert chan.json
refused 1 'byte 16: an empty trace' convert header
refused 1 'a batch is not whole: the trace was cut off' convert cut
refused 1 'byte 16: the head of a batch is not whole' convert head
refused 1 'byte 16: no batch begins here' convert junk
refused 1 'generation 0' convert gen0
refused 1 'generation 9 after 1' convert gen9
refused 1 'a batch of 80000 bytes' convert large
refused 1 'generation 1 has no frequency' convert noclock
refused 1 'a second frequency' convert clocks
refused 1 'an event of the unknown kind 30' convert kind
refused 1 'not a string' convert string
refused 1 'two strings of number 1' convert twice
refused 1 'no string 5' convert frame
refused 1 'an event is not whole' convert short
refused 1 'an event is not whole' convert long
refused 1 'no stack 99' convert stack
refused 1 'no string 99' convert reason
refused 1 'a time that is too large' convert late
refused 1 'GoBlock on thread 7: what must come before it is missing' convert block
refused 1 'GoStart on thread 7: what must come before it is missing' convert number
refused 1 "GoStatus on thread 7 can't have happened" convert state
refused 1 "GoCreate on thread 7 can't have happened" convert again
refused 1 "can't read nowhere: No such file" convert nowhere
refused 1 "can't read .: Is a directory" convert .
refused 1 "can't write /dev/full" convert --output /dev/full chan.trace
refused 1 "can't write no/where" convert --output no/where chan.trace
refused 2 'what is to be done' --
refused 2 'did you mean weft trace convert?' covnert chan.trace
refused 2 'no trace to convert' convert
refused 2 'one trace at a time' convert chan.trace net.trace
refused 2 'did you mean chrome?' convert --to chrom chan.trace
refused 2 'did you mean sync?' convert --to pprof --only synch chan.trace
refused 2 '--only is for --to pprof' convert --only sync chan.trace
# What does not begin as a trace is not read to its end, which may never come.
timeout 60 "$weft" trace convert /dev/zero 2>err && bad "no trace, and not refused"
grep -q 'byte 0: not a trace' err || bad "not a trace: $(cat err)"
"$weft" trace convert tiny | python3 -c 'import json, sys; json.load(sys.stdin)' ||
    bad "the smallest trace is refused"
# As for Go's parser, nothing of a generation was before the end of the last.
"$weft" trace convert behind | grep -q '"tid":1,.*"dur":1\.000' || bad "a wait began too early"
# Also when the output is known to be lost only at its end.
got=0
"$weft" trace convert --to pprof tiny >/dev/full 2>err || got=$?
[ "$got" -eq 1 ] && grep -q "can't write" err || bad "a full disk: status $got"
exit "$failed"
