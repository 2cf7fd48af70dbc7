#!/usr/bin/env bash
# The pages of go tool trace show what the program did: goroutines and labels, processors, tasks,
# regions, and profiles of waits. If it fails, a trace that is read is of no use to who looks.
# ctest: timeout=120
set -eu
go=$("$WEFT_SRC/tools/find-go")
[ -n "$go" ] || { echo "no Go 1.23 or newer here; tools/setup ci installs one"; exit 77; }
work=$(mktemp -d)
viewer=
trap '[ -z "$viewer" ] || kill "$viewer"; wait; rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GOTELEMETRY=off GOFLAGS='' BROWSER=true PPROF_TMPDIR=$work
WEFT_TRACE=user.trace "$WEFT_BUILD/test/trace/load" user
touch said
# The tool itself, not the command that starts it: it is to be ended.
"$("$go" tool -n trace)" -http=127.0.0.1:0 user.trace 2>>said &
viewer=$!
for _ in $(seq 600); do
	url=$(sed -n 's/.*listening on \(http:.*\)/\1/p' said)
	[ -z "$url" ] || break
	sleep 0.1
done
[ -n "$url" ] || { echo "the viewer does not listen:"; cat said; exit 1; }
python3 - "$url" <<'PY'
import json, sys, urllib.request

failed = False

def page(path, *wanted):
    global failed
    try:
        with urllib.request.urlopen(sys.argv[1] + path, timeout=60) as answer:
            text = answer.read().decode("utf-8", "replace")
    except OSError as error:
        print(f"{path}: {error}")
        failed = True
        return ""
    for want in wanted:
        if want not in text:
            print(f"{path} has no {want}; but:\n{text[:2000]}")
            failed = True
    return text

page("/", "/usertasks", "/goroutines")
page("/goroutines", "hears")
page("/goroutine?name=hears", "hears", "chan receive")
page("/usertasks", "order", "payment")
page("/usertask?type=payment", "log &#34;odd&#34;", "region &#34;lock and sleep&#34; begin")
page("/userregions", "lock and sleep", "inner")
page("/userregion?type=inner", "sleep")
for profile in "block", "sched", "io", "syscall":
    page(f"/{profile}?raw=1")
for view in "proc", "thread":
    events = json.loads(page(f"/jsontrace?view={view}") or '{"traceEvents":[]}')["traceEvents"]
    rows = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    names = " ".join(e["name"] for e in events)
    for want in "hears", '{customer: "blue & green", order: 17}', "customer":
        if want not in names:
            print(f"the view of {view}s has no {want}")
            failed = True
    if not any(row.lower().startswith(view) for row in rows):
        print(f"the view of {view}s has no row of one: {rows}")
        failed = True
sys.exit(failed)
PY
# The profiles that the pages offer.
"$go" tool trace -pprof=sync user.trace >sync.pprof
"$go" tool pprof -symbolize=none -top sync.pprof 2>/dev/null | grep -q 'weft_chan_recv$' ||
    { echo "the profile of waits has no weft_chan_recv"; exit 1; }
