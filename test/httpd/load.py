"""A burst of load: no error, nothing left behind. tools/httpd-load does the same for longer."""
import re
import shutil
import subprocess
import sys
import threading

from httpd import Client, Server, equal, get, main, make_tree, until

ROOT, FILES = make_tree()
CLEAN = [ROOT]


def wrk(server, connections, seconds, path="/page.html"):
    """Runs wrk; returns requests per second. Any error of a socket or an answer fails."""
    p = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", server.url(path)],
                       capture_output=True, text=True, timeout=seconds + 60)
    equal(p.returncode, 0, p.stdout + p.stderr)
    equal("Socket errors" in p.stdout or "Non-2xx" in p.stdout, False, p.stdout)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", p.stdout)[1])
    equal(rate > 0, True, p.stdout)
    return rate


def test_wrk():
    """Under load a lost wake-up, a leaked descriptor or a mixed answer shows."""
    with Server(ROOT) as s:
        before = s.descriptors_at_rest()
        for connections, path in [(100, "/page.html"), (10, "/big.bin")]:
            print(f"       {path}: {wrk(s, connections, 2, path):.0f} requests/s")
        until("all descriptors are back", lambda: s.descriptors() <= before)
        equal(get(s, "/big.bin").body == FILES["big.bin"], True)


def test_many_connections_at_once():
    """Every one of 500 clients that come together is served, byte for byte."""
    wrong = []

    def client(s, i):
        c = Client(s)
        for path in ["/page.html", "/edge.bin", "/small.txt"] * 3:
            if c.get(path).body != FILES[path[1:]]:
                wrong.append((i, path))
        c.close()

    with Server(ROOT) as s:
        before = s.descriptors_at_rest()
        threads = [threading.Thread(target=client, args=(s, i)) for i in range(500)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        equal(wrong, [])
        until("all descriptors are back", lambda: s.descriptors() <= before)


if not shutil.which("wrk"):
    print("wrk is missing: tools/setup test")
    sys.exit(77)
main()
