#!/usr/bin/env bash
# Go's own parser reads the trace of each shape of test/trace/load.c, and finds in it what the shape
# does. It follows every goroutine, thread and processor, and refuses a transition that can't be:
# if this fails, events are missing, doubled, or in the wrong order.
# ctest: timeout=240
set -eu
go=$("$WEFT_SRC/tools/find-go")
[ -n "$go" ] || { echo "no Go 1.23 or newer here; tools/setup ci installs one"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GOTELEMETRY=off GOFLAGS=
load=$WEFT_BUILD/test/trace/load
failed=0

parse() # FILE: its events, as text on stdout
{
	"$go" tool trace -d=1 "$1"
}

# trace SHAPE PATTERN...: all of them are in there.
trace()
{
	local shape=$1 pattern
	shift
	WEFT_TRACE=$shape.trace WEFT_DEBUG=traceadvanceperiod=30000000 "$load" "$shape"
	if ! parse "$shape.trace" >events 2>errors; then
		echo "$shape: Go refuses its trace:"
		head -c 2000 errors
		failed=1
	fi
	for pattern in "$@"; do
		grep -q -e "$pattern" events && continue
		echo "$shape: no event like: $pattern"
		failed=1
	done
}

waiting='Reason="%s" GoID=[0-9]* Running->Waiting'
waits() # REASON
{
	# shellcheck disable=SC2059
	printf "$waiting" "$1"
}

trace chan "$(waits 'chan receive')" "$(waits sleep)" \
    'NotExist->Runnable' 'weft_chan_recv @' 'answer_rounds @' 'Running->NotExist'
trace select "$(waits select)" 'weft_select @'
trace net "$(waits network)"
trace detach 'Running->Syscall' 'Syscall->Runnable' 'Reason="runtime.Gosched".*->Runnable'
trace syscall 'Running->Syscall' 'Syscall->Running' 'weft_syscall_enter @'
trace locked "$(waits sleep)" "$(waits sync)"
trace foreign 'Resource=Proc(10[0-9][0-9]).*Running' 'NotExist->Runnable'
trace spawn 'NotExist->Runnable' 'Running->NotExist'
trace user 'TaskBegin.*Type="payment"' 'TaskEnd' 'RegionBegin.*Type="lock and sleep"' \
    'RegionEnd' 'Category="customer" Message="odd"' \
    'Label="{customer: \\"blue & green\\"}" Resource=Goroutine(1)' \
    'Label="{customer: \\"blue & green\\", order: 17}" Resource=Goroutine([^1]' \
    'Label="" Resource=Goroutine(1)'
trace quiet 'Sync'

# The parser is one that finds things: without one of the batches it does not go through.
python3 - chan.trace broken.trace <<'PY'
import sys

data = open(sys.argv[1], "rb").read()
def varint(at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
at, batches = 16, []
while at < len(data):
    start = at
    assert data[at] == 1, "not a batch"
    at += 1
    for _ in range(3):
        _, at = varint(at)
    size, at = varint(at)
    # Of events, not of stacks, strings or the clock.
    batches.append((size if data[at] not in (2, 4, 8) else 0, start, at + size))
    at += size
_, start, end = max(batches)
open(sys.argv[2], "wb").write(data[:start] + data[end:])
PY
if parse broken.trace >/dev/null 2>&1; then
	echo "a trace that lacks events is not refused"
	failed=1
fi
exit "$failed"
