"""Starting: what it says, how it ends when it cannot start, and what is on a terminal."""
import ctypes
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

from httpd import PROGRAM, WAIT, Client, Server, equal, get, main, make_tree, until

ROOT, FILES = make_tree()
CLEAN = [ROOT]


def run(*args, **kw):
    p = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=WAIT, **kw)
    return p.returncode, p.stdout, p.stderr


def test_ready_line():
    """Programs wait for this line and take the port from it."""
    with Server(ROOT) as s:
        equal(re.fullmatch(re.escape(f"weft-httpd: serving {ROOT} on http://127.0.0.1:") + r"[1-9]\d*/\n", s.line)
              is not None, True, s.line)
        equal(get(s).status, 200, "served at once")


def test_default_directory_is_docs():
    """make run shows the documentation without a word from the user."""
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(d + "/docs")
        with open(d + "/docs/index.html", "w") as f:
            f.write("here")
        p = subprocess.Popen([PROGRAM, "-q"], cwd=d, stdout=subprocess.PIPE, text=True)
        line = p.stdout.readline()
        equal(line.startswith("weft-httpd: serving docs on http://127.0.0.1:"), True, line)
        equal(get(int(line.rstrip("/\n").rpartition(":")[2])).body, b"here")
        p.terminate()
        equal(p.wait(WAIT), 0)


def test_bind_and_port():
    """The port one asks for is the port one gets, on IPv6 too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Server(ROOT, f"--port={port}") as s:
        equal(s.port, port)
    for bind, shown in [("::1", "[::1]"), ("[::1]", "[::1]"), ("localhost", "localhost")]:
        p = subprocess.Popen([PROGRAM, "-q", "--bind", bind, "--root", ROOT], stdout=subprocess.PIPE, text=True)
        line = p.stdout.readline()
        found = re.fullmatch(re.escape(f"weft-httpd: serving {ROOT} on http://{shown}:") + r"(\d+)/\n", line)
        equal(bool(found), True, line)
        with socket.create_connection(("localhost" if bind == "localhost" else "::1", int(found[1]))) as c:
            c.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
            equal(c.recv(12), b"HTTP/1.1 200")
        p.terminate()
        equal(p.wait(WAIT), 0)


def test_port_in_use():
    """Two servers on one port: the second must say what is wrong."""
    with Server(ROOT) as s:
        status, out, err = run("--port", str(s.port), ROOT)
        equal((status, out, err), (1, "", f"weft-httpd: cannot listen on 127.0.0.1:{s.port}: Address already in use\n"))
        equal(get(s).status, 200)


def test_what_cannot_be_served():
    """A mistyped path should be seen in the message."""
    equal(run("/no/such/place"), (1, "", "weft-httpd: cannot serve /no/such/place: No such file or directory\n"))
    path = os.path.join(ROOT, "small.txt")
    equal(run(path), (1, "", f"weft-httpd: cannot serve {path}: Not a directory\n"))
    status, out, err = run("--log=/no/such/place", ROOT)
    equal((status, out, err), (1, "", "weft-httpd: cannot write /no/such/place: No such file or directory\n"))
    status, out, err = run("--bind=192.0.2.1", ROOT)
    equal((status, out), (1, ""))
    equal("cannot listen on 192.0.2.1:0: Cannot assign requested address" in err, True, err)
    status, out, err = run("--bind=no.such.name.invalid", ROOT)
    equal((status, out, "cannot listen on no.such.name.invalid:0" in err), (1, "", True), err)


def test_usage_errors():
    """Status 2 and one line that names the mistake."""
    cases = [(["--nonsense"], "--nonsense"), (["-Z"], "-Z"), (["--port"], "--port"), (["--port=x"], "x"),
             (["--port=65536"], "65536"), (["--port=-1"], "-1"), (["--idle-timeout=soon"], "soon"),
             (["--idle-timeout=0"], "0"), (["--idle-timeout=nan"], "nan"), (["--max-conns=0"], "0"),
             (["--max-conns=1x"], "1x"), (["a", "b"], "b"), (["--root=a", "b"], "b"), (["--m=1"], "--m=1")]
    for args, named in cases:
        status, out, err = run(*args)
        equal((status, out), (2, ""), str(args))
        lines = err.splitlines()
        equal((len(lines), lines[0].startswith("weft-httpd: "), named in lines[0], lines[1]),
              (2, True, True, "Try 'weft-httpd --help'."), f"{args}: {err}")


def test_help_and_version():
    """--help is the first thing one tries."""
    status, out, err = run("--help")
    equal((status, err), (0, ""))
    for word in ["--port", "--bind", "--root", "--max-conns", "--max-requests", "--idle-timeout", "--request-timeout",
                 "--write-timeout", "--stop-timeout", "--quiet", "--log", "--help", "--version", "Exit status"]:
        equal(word in out, True, word)
    equal(max(len(line) for line in out.splitlines()) <= 80, True, "fits a terminal")
    status, out, err = run("--version")
    equal((status, bool(re.fullmatch(r"weft-httpd \d+\.\d+\.\d+\n", out)), err), (0, True, ""))


def forbid_openat2():
    """In the child: openat2 fails with ENOSYS, as on a kernel before Linux 5.6."""
    nr_openat2, enosys = 437, 38
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, nr_openat2), (0x06, 0, 0, 0x00050000 | enosys), (0x06, 0, 0, 0x7fff0000)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    prog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, prog, 0, 0):
        os._exit(99)


def test_system_without_openat2():
    """Without the one call that keeps paths inside, serving at all would be a risk."""
    status, out, err = run(ROOT, preexec_fn=forbid_openat2)
    equal((status, out), (1, ""))
    equal("no openat2(2)" in err and ROOT in err, True, err)


def test_status_line_on_a_terminal():
    """Who watches it sees it live; who logs it is not filled with it."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen([PROGRAM, ROOT], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    port = int(p.stdout.readline().decode().rstrip("/\n").rpartition(":")[2])
    c = Client(port)
    for _ in range(5):
        equal(c.get("/small.txt").status, 200)
    seen, limit = "", time.monotonic() + WAIT
    line = r"5 requests \(\d+/s\), 1 connections, \d+ goroutines, \d+ threads, 35 B sent"
    while not re.search(line, seen) and time.monotonic() < limit:
        if select.select([ours], [], [], 0.2)[0]:
            seen += os.read(ours, 4096).decode()
    equal(bool(re.search(r"\r\x1b\[K" + line, seen)), True, seen)
    c.close()
    p.terminate()
    equal(p.wait(WAIT), 0)
    os.close(ours)
    with Server(ROOT, quiet=False) as s:
        time.sleep(1.2)
        equal(s.stderr(), "", "nothing, when it is no terminal")


def test_access_log():
    """Off by default; one line a request, in the format that log readers know; no line breaks from clients."""
    path = os.path.join(ROOT, "access.log")
    with Server(ROOT, f"--log={path}") as s:
        c = Client(s)
        c.get("/small.txt")
        c.get("/missing", "HEAD")
        c.get('/a"b\\c')
        c.get("/%0a%0dx")
        c.send("BREW / HTTP/1.1\r\n\r\n")
        c.answer()
        c.close()
        until("five lines", lambda: open(path).read().count("\n") == 5)
        text = open(path).read()
    date = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]"
    want = [r'"GET /small\.txt HTTP/1\.1" 200 7', r'"HEAD /missing HTTP/1\.1" 404 0',
            r'"GET /a\\x22b\\x5cc HTTP/1\.1" 404 \d+', r'"GET /%0a%0dx HTTP/1\.1" 404 \d+', r'"- - HTTP/\d\.\d" 501 \d+']
    for line, pattern in zip(text.splitlines(), want):
        equal(bool(re.fullmatch(r"127\.0\.0\.1 - - " + date + " " + pattern, line)), True, line)


main()
