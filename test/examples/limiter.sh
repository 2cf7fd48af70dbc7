#!/usr/bin/env bash
# Nothing goes through the limiter before its token came, no token is used twice, tokens come at
# their rate and not more than a bucketful at once. (How late a request goes is the machine's.)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/check.py" <<'PY'
"""Runs the limiter and checks the times that it prints."""
import pathlib, signal, subprocess, sys, time

limiter = sys.argv[1]


def run(rate, burst, requests, *how):
    start = time.monotonic()
    done = subprocess.run([limiter, str(rate), str(burst), str(requests), *how],
                          stdout=subprocess.PIPE, check=True, text=True, timeout=100)
    took = time.monotonic() - start
    *lines, last = done.stdout.splitlines()
    times = [tuple(map(int, line.split())) for line in lines]
    taken, refused = int(last.split()[0]), int(last.split()[2])
    assert taken == len(times) and taken + refused == requests, last
    tokens = sorted(came for came, went in times)
    interval = 10**9 // rate / 1000
    assert all(went >= came for came, went in times)
    assert tokens[:burst] == [0] * min(burst, taken), tokens[:burst + 1]
    numbers = [round(came / interval) for came in tokens[burst:]]
    assert all(abs(came - n * interval) <= 1 for came, n in zip(tokens[burst:], numbers))
    assert len(set(numbers)) == len(numbers) and (not numbers or numbers[0] >= 1), numbers[:9]
    assert taken <= burst + took * rate
    return times, refused, took


for rate, burst, requests in ((200, 1, 60), (200, 20, 80), (1000, 5, 300), (20000, 100, 5000)):
    times, refused, took = run(rate, burst, requests, "wait")
    assert refused == 0 and took >= (requests - burst) / rate, (took, refused)
run(100, 50, 50)
times, refused, _ = run(10, 7, 5000, "refuse")
assert refused > 0 and len(times) >= 7, (refused, len(times))

for wrong in ((), ("1", "1"), ("0", "1", "1"), ("1", "0", "1"), ("1", "1", "0"),
              ("1", "1", "1", "perhaps"), ("1", "1", "1", "wait", "x")):
    done = subprocess.run([limiter, *wrong], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 64, wrong

# Interrupted, its clients stop waiting, and it says what it did until then.
child = subprocess.Popen([limiter, "1", "3", "1000"], stdout=subprocess.PIPE, text=True)
status = pathlib.Path(f"/proc/{child.pid}/status")
while not any(int(line.split()[1], 16) & 2 for line in status.read_text().splitlines()
              if line.startswith("SigCgt")):
    time.sleep(0.02)
child.send_signal(signal.SIGINT)
out, _ = child.communicate(timeout=100)
assert child.returncode == 130, child.returncode
assert " taken, 0 refused" in out.splitlines()[-1], out
PY
for procs in 1 2 4; do
	WEFT_MAXPROCS=$procs python3 "$work/check.py" "$WEFT_BUILD/examples/limiter"
done
