#!/usr/bin/env bash
# The debug endpoint: what it tells, and to whom. If it fails, either nobody can look into a server
# that is in trouble, or everybody can.
# ctest: timeout=600
set -eu
export LC_ALL=C
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
failed=0
wrong()
{
	echo "wrong: $*"
	failed=1
}
start() # ADDRESS: a program whose goroutines wait, and that serves there
{
	rm -f ready
	mkfifo ready
	WEFT_HTTP=$1 ./stuck >ready 2>said &
	pid=$!
	read -r _ <ready
}
stop()
{
	kill "-${WEFT_KILL:-9}" "$pid"
	wait "$pid" 2>/dev/null || true
	pid=
}
get() # ARGUMENT...: the body; the status goes to the file status
{
	curl -s --max-time 100 -o body -w '%{http_code}' "$@" >status || echo none >status
	cat body
}
expect() # STATUS ARGUMENT...
{
	local want=$1
	shift
	rm -f body
	touch body
	get "$@" >/dev/null
	[ "$(cat status)" = "$want" ] || wrong "$*: $(cat status), not $want"
}

sanitizer=
case $WEFT_SANITIZE in
address) sanitizer=-fsanitize=address,undefined ;;
thread) sanitizer=-fsanitize=thread ;;
esac
$CC -g -O1 -fno-omit-frame-pointer $sanitizer -I"$WEFT_SRC/include" \
    -o stuck "$WEFT_SRC/test/gdb/stuck.c" \
    "$WEFT_BUILD/libweft.a" -pthread

# On a Unix socket, for this user only.
start "unix:$work/socket"
[ "$(stat -c %a socket)" = 600 ] || wrong "others may open the socket: $(stat -c %a socket)"
here=(--unix-socket "$work/socket")
get "${here[@]}" http://localhost/ | grep -q '^/metrics ' || wrong "no list of what there is"
get "${here[@]}" http://localhost/debug/pprof/ | grep -q '^/debug/pprof/goroutine ' ||
	wrong "no list of profiles"
! grep -q '^/metrics' body || wrong "figures are no profile"
get "${here[@]}" http://localhost/metrics >metrics
promtool check metrics <metrics || wrong "Prometheus does not like the figures"
grep -q '^go_sched_goroutines_goroutines 4$' metrics || wrong "it does not know four goroutines"
get "${here[@]}" 'http://localhost/debug/pprof/goroutine?debug=2' >stacks
grep -q '^goroutine 2 \[chan receive.*, "receiver"\] {by: "a b", request: 17}:$' stacks ||
	wrong "no goroutine 2: $(cat stacks)"
grep -q '^receive_here(...)$' stacks || wrong "no stack: $(cat stacks)"
get "${here[@]}" 'http://localhost/debug/pprof/goroutine?debug=1' >counts
for line in '^goroutine profile: total [0-9]*$' '^1 @ 0x[0-9a-f]' \
    $'^#\t0x[0-9a-f]*\treceive_here\t/' \
    '^# labels: {"goroutine":"receiver", "by":"a b", "request":"17"}$'; do
	grep -q "$line" counts || wrong "no $line: $(cat counts)"
done
# A profile and a trace: what they hold is for others to test, that they come whole is for us.
get "${here[@]}" http://localhost/debug/pprof/goroutine >profile
LC_ALL=C grep -aq receive_here profile || wrong "the profile does not know receive_here"
for name in goroutineleak block mutex 'profile?seconds=1'; do
	expect 200 "${here[@]}" "http://localhost/debug/pprof/$name"
done
get "${here[@]}" 'http://localhost/debug/pprof/trace?seconds=1' >trace
[ "$(head -c 9 trace)" = 'go 1.22 t' ] || wrong "no trace: $(head -c 100 trace | od -c | head -3)"
# One of each at a time: the second learns why it gets none. The first has begun when its head is
# there, and ends when its reader goes.
for name in profile trace; do
	coproc nc -U socket
	reader=$COPROC_PID
	printf 'GET /debug/pprof/%s?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n' $name \
	    >&"${COPROC[1]}"
	until read -r -t 100 line <&"${COPROC[0]}" && [ "$line" = $'\r' ]; do
		[ -n "$line" ] || { wrong "no head of a $name"; break; }
	done
	expect 409 "${here[@]}" "http://localhost/debug/pprof/$name?seconds=1"
	grep -q ' being t' body || wrong "no reason for no $name: $(cat body)"
	kill "$reader"
	wait "$reader" || true
	for _ in $(seq 600); do
		get "${here[@]}" "http://localhost/debug/pprof/$name?seconds=1" >/dev/null
		[ "$(cat status)" = 409 ] || break
		sleep 0.1
	done
	[ "$(cat status)" = 200 ] || wrong "$name is not given back: $(cat status)"
done
# Events go on until the reader has enough: three of them.
curl -sN "${here[@]}" 'http://localhost/debug/weft/events?interval=100' 2>/dev/null |
    sed 10q >events || true
get "${here[@]}" http://localhost/debug/weft >snapshot
python3 - snapshot events "$WEFT_SRC/man/weft_metrics_read.3" <<'PY' || failed=1
import json, re, sys

def is_form(value, form):	# as docs/observe.md has it
    if isinstance(form, type):
        return isinstance(value, form) and not isinstance(value, bool)
    if isinstance(form, tuple):
        return any(is_form(value, f) for f in form)
    if isinstance(form, list):
        return isinstance(value, list) and all(is_form(v, form[0]) for v in value)
    needs = {k for k in form if not k.endswith("?")}
    knows = {k.rstrip("?"): f for k, f in form.items()}
    return needs <= set(value) <= set(knows) and all(is_form(v, knows[k]) for k, v in value.items())

form = {
    "version": int, "now_ns": int, "up_ns": int, "pid": int,
    "procs": [{"id": int, "status": str, "queue": int, "picks": int, "steals": int,
               "thread?": int, "goroutine?": int}],
    "groups": [{"function": str, "state": str, "count": int, "oldest": int, "oldest_ns": int}],
    "ungrouped": int, "metrics": dict,
}
s = json.load(open(sys.argv[1]))
assert is_form(s, form), s
assert all(is_form(v, (int, float)) for v in s["metrics"].values()), s
assert {p["status"] for p in s["procs"]} <= {"idle", "running", "dead"}, s
assert [p["id"] for p in s["procs"]] == list(range(len(s["procs"]))), s
# Each event is two lines and an empty one; the first three, and the next one's name.
lines = open(sys.argv[2]).read().split("\n")
assert lines[0:9:3] == ["event: snapshot"] * 3 and lines[2:9:3] == [""] * 3, lines
before = 0
for line in lines[1:9:3]:
    assert line.startswith("data: "), lines
    event = json.loads(line[len("data: "):])
    assert is_form(event, form) and event["now_ns"] > before and event["pid"] == s["pid"], event
    before = event["now_ns"]
groups = {g["function"]: g for g in s["groups"]}
assert s["version"] == 1 and len(s["procs"]) >= 1, s
assert groups["receiver"]["state"] == "chan receive" and groups["receiver"]["count"] == 1, s
assert groups["locker"]["state"] == "sync.Mutex.Lock", s
assert s["metrics"]["/sched/goroutines:goroutines"] == 4, s
# Each figure is explained, and nothing is explained that is not there.
manual = set(re.findall(r"^\.It Li (/\S+)$", open(sys.argv[3]).read(), re.M))
assert manual == {*s["metrics"], "/sched/latencies:seconds"}, manual ^ set(s["metrics"])
cpu = {k.split("/")[3].split(":")[0]: v for k, v in s["metrics"].items() if "/cpu/" in k}
assert 0 < cpu["total"] < 1e6 and abs(cpu["total"] - cpu["idle"] - cpu["user"]) < 1e-6, s
PY
# Not what is no plain question from here.
expect 404 "${here[@]}" http://localhost/nonesuch
expect 403 "${here[@]}" http://evil.example/metrics
expect 403 "${here[@]}" -H 'Host: localhost.evil.example' http://localhost/metrics
expect 405 "${here[@]}" -X POST http://localhost/metrics
expect 405 "${here[@]}" -I http://localhost/metrics
expect 413 "${here[@]}" -X GET -d x http://localhost/metrics
expect 431 "${here[@]}" -H "X: $(head -c 9000 /dev/zero | tr '\0' x)" http://localhost/
printf 'GET /metrics HTTP/1.1\r\n\r\n' | nc -NU socket | grep -q '^HTTP/1.1 400 ' ||
    wrong "it answered a request without Host"
expect 200 "${here[@]}" http://127.0.0.1:1/metrics
stop

# The socket that a killed process has left is in nobody's way, one that is in use is.
[ -S socket ] || wrong "where is the socket?"
start "unix:$work/socket"
[ ! -s said ] || wrong "could not take over: $(cat said)"
WEFT_HTTP=unix:$work/socket ./stuck 2>second >ready2 &
second=$!
until [ -s ready2 ]; do
	kill -0 "$second"
	sleep 0.1
done
kill "-${WEFT_KILL:-9}" "$second"
{ wait "$second" || true; } 2>/dev/null
grep -q "can't serve at unix:$work/socket: errno 98" second || wrong "two at one socket"
expect 200 "${here[@]}" http://localhost/metrics
stop

# On loopback, with a token.
start 127.0.0.1:0
url=$(sed -n 's/^weft: debug endpoint at //p' said)
base=${url%%\?*} token=${url##*=}
[ ${#token} -eq 32 ] || wrong "no token: $(cat said)"
expect 200 "$url"
expect 200 -H "Authorization: Bearer $token" "${base}metrics"
expect 401 "${base}metrics"
expect 401 "${base}metrics?token="
expect 401 "${base}metrics?token=${token}0"
expect 401 -H "Authorization: Bearer ${token%?}" "${base}metrics"
expect 403 -H 'Host: evil.example' "$url"
stop
# All of 127.0.0.0/8 is this machine.
start 127.0.0.2:0
url=$(sed -n 's/^weft: debug endpoint at //p' said)
[[ $url == http://127.0.0.2:* ]] || wrong "not where it serves: $(cat said)"
expect 200 "$url"
stop

# Never for the network.
for address in 0.0.0.0:0 :0 '[::]:0' localhost:0 192.0.2.1:0 x "$work/socket"; do
	start "$address"
	grep -q "can't serve at .*: errno [0-9]* (it is unix:PATH, " said ||
		wrong "it served at $address, or does not say where it can: $(cat said)"
	stop
done
exit $failed
