"""What hostile clients do to the debug endpoint, through its sockets, and what it must answer."""
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

PATIENCE = 120          # seconds until what we wait for will not come any more
CONNECTIONS = 8         # as src/debug/serve.c, both
REQUEST_SECONDS = 10
failed = False


def wrong(*what):
    global failed
    failed = True
    print("wrong:", *what)


def until(holds, what):
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.02)


class Program:
    """A program with an endpoint at address, which goes on whatever is done to that."""

    def __init__(self, address):
        self.said = tempfile.TemporaryFile()
        env = dict(os.environ, WEFT_HTTP=address)
        self.proc = subprocess.Popen([os.environ["WEFT_CROWD"]], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.said, env=env)
        self.works()
        self.family, self.at, self.token = socket.AF_UNIX, address[len("unix:"):], ""
        if not address.startswith("unix:"):
            self.said.seek(0)
            found = re.search(rb"http://([0-9.]+):(\d+)/\?token=(\w+)\n", self.said.read())
            self.family, self.at = socket.AF_INET, (found[1].decode(), int(found[2]))
            self.token = found[3].decode()
        until(self.answers, "a first answer")
        self.rest = self.kept()[0]

    def works(self):
        """It runs goroutines: what it reads comes back."""
        self.proc.stdin.write(b"x")
        self.proc.stdin.flush()
        if self.proc.stdout.read(1) != b"x":
            raise AssertionError(f"the program has ended: {self.proc.wait()}")

    def kept(self):
        """How many descriptors it has open, and how many threads are the endpoint's."""
        base, threads = f"/proc/{self.proc.pid}", 0
        for task in os.listdir(f"{base}/task"):
            try:
                with open(f"{base}/task/{task}/comm") as f:
                    threads += f.read() == "weft-debug\n"
            except OSError:
                pass            # it has just ended
        return len(os.listdir(f"{base}/fd")), threads

    def connect(self, receives=0):
        s = socket.socket(self.family, socket.SOCK_STREAM)
        if receives:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        s.connect(self.at)
        s.settimeout(PATIENCE)  # not before: on a Unix socket it would not wait for its turn
        return s

    def ask(self, raw, step=0):
        """All that comes back for these bytes, sent at once or in pieces."""
        with self.connect() as s:
            try:
                for i in range(0, len(raw), step or len(raw)):
                    s.sendall(raw[i:i + (step or len(raw))])
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass            # it has heard enough
            return receive(s)

    def get(self, path="/", host="localhost", more=""):
        token = f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{token}{more}\r\n".encode()

    def answers(self):
        return status(self.ask(self.get())) == 200

    def is_at_rest(self):
        """Nothing is open that was not at first, and only the thread that accepts is there."""
        descriptors, threads = self.kept()
        return descriptors <= self.rest and threads == 1

    def recovers(self):
        """It answers, has let go of all, and the program has gone on."""
        until(self.answers, "an answer")
        until(self.is_at_rest, "its rest")
        self.works()

    def end(self):
        self.proc.stdin.close()
        if self.proc.wait(PATIENCE) != 0:
            wrong("the program's status", self.proc.returncode)


def receive(s):
    said = b""
    try:
        while part := s.recv(65536):
            said += part
    except ConnectionError:
        pass
    return said


def status(said):
    found = re.match(rb"HTTP/1\.1 (\d\d\d) ", said)
    return int(found[1]) if found else None


def expect(p, want, raw, step=0):
    said = p.ask(raw, step)
    # Who answered last may not have ended yet.
    while status(said) == 503 and want != 503:
        said = p.ask(raw, step)
    if status(said) != want:
        wrong(f"{status(said)}, not {want}: {raw[:200]!r}")
    # Nothing of the inside is told to those who are refused.
    if want != 200 and (b"goroutine" in said or b"go_sched" in said or len(said) > 1000):
        wrong("tells too much:", raw[:200], said[:500])
    if said.count(b"HTTP/1.1 ") > 1:
        wrong("more than one answer:", raw[:200], said[:500])


def foreign_hosts(p):
    for host in ("evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1.evil.example",
                 "127.0.0.1@evil.example", "localhost@evil.example", "127.1", "2130706433",
                 "0x7f.0.0.1", "127.0.0.01", "0.0.0.0", "128.0.0.1", "[::]", "[::1", "::1",
                 "[::ffff:127.0.0.1]", "localhost:", "localhost:80:80", "localhost:123456",
                 "localhost:8x", "localhost:-1", "localhost localhost", "localhost,localhost",
                 "localhost.", "xlocalhost", "", "[fe80::1]", "user:pw@localhost"):
        expect(p, 403, p.get("/metrics", host))
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "127.255.255.255:65535", "[::1]:6060"):
        expect(p, 200, p.get("/metrics", host))


def two_of_what_is_one(p):
    """Who stands between may take the other of the two for the right one."""
    expect(p, 400, p.get(more="Host: localhost\r\n"))
    expect(p, 400, p.get(more="host: evil.example\r\n"))
    expect(p, 400, p.get(more="Host : evil.example\r\n"))
    expect(p, 400, p.get(more="X: y\r\n Host: evil.example\r\n"))
    expect(p, 400, p.get(more="Authorization: Bearer x\r\nAuthorization: Bearer y\r\n"))
    expect(p, 413, p.get(more="Content-Length: 5\r\n") + b"abcde")
    expect(p, 413, p.get(more="Content-Length: 0\r\nContent-Length: 5\r\n") + b"abcde")
    expect(p, 413, p.get(more="Content-Length: +0\r\n"))
    expect(p, 413, p.get(more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n")
    expect(p, 413, p.get(more="Content-Length: 0\r\nTransfer-Encoding: xchunked\r\n"))
    expect(p, 400, p.get(more="Transfer-Encoding : chunked\r\n"))
    # One request for a connection: what follows it is nobody's.
    expect(p, 200, p.get() * 3)
    expect(p, 404, p.get("/x") + p.get("/metrics"))
    expect(p, 403, p.get("/metrics", "evil.example") + p.get("/metrics"))


def paths(p):
    for path in ("/metrics/", "/metrics/../metrics", "/./metrics", "//metrics", "/%6detrics", "/metrics%00",
                 "/metrics;x", "/METRICS", "/metrics%3f", "/debug/weft/../../metrics", "/debug/pprof",
                 "/debug/pprof//", "/debug/pprof/../../../../etc/passwd", "/..", "/*",
                 "/debug/pprof/heap", "/debug/pprof/symbol", "/debug/pprof/cmdline"):
        expect(p, 404, p.get(path))
    for path in ("http://localhost/metrics", "http://evil.example/metrics", "metrics", "*", "", " /metrics",
                 "/me trics", "/metrics\t", "\\metrics"):
        expect(p, 400, p.get(path))
    for raw in (b"/\x00", b"/metrics\xff", b"/\x7f", b"/\x01"):
        expect(p, 400, p.get("/@").replace(b"/@", raw))


def no_requests(p):
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "GETT",
                   "GE", "G"):
        expect(p, 405, p.get().replace(b"GET", method.encode()))
    for line in (b"GET / HTTP/1.1\n", b"GET /\r\n", b"GET / HTTP/1.1 \r\n", b"GET  / HTTP/1.1\r\n",
                 b" GET / HTTP/1.1\r\n", b"\r\nGET / HTTP/1.1\r\n", b"GET / http/1.1\r\n",
                 b"GET / HTTP/1.1x\r\n", b"GET\t/ HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\r\n",
                 b"\x00" * 100 + b"\r\n", b"<policy-file-request/>\r\n"):
        expect(p, 400, line + p.get().split(b"\r\n", 1)[1])
    for version in (b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/9.9"):
        expect(p, 505, p.get().replace(b"HTTP/1.1", version))
    for header in (b"no colon", b": no name", b"a b: c", b"x: \x00", b"x: \x1b[2J", b"x: a\rb"):
        expect(p, 400, p.get().replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n"))
    expect(p, 400, p.get().replace(b"\r\n", b"\n"))
    expect(p, 400, b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n")
    expect(p, None, b"GET / HTTP/1.1\r\nHost: loc")     # and no more
    expect(p, None, p.get()[:-1])


def too_long(p):
    for raw in (p.get("/" + "a" * 9000), p.get(more=f"X: {'x' * 9000}\r\n"),
                p.get(more="X: y\r\n" * 5000), p.get(more="X" * 9000 + ": y\r\n"), b"G" * 1000000):
        expect(p, 431, raw)
    expect(p, 200, p.get(more="X: y\r\n" * 1000))
    expect(p, 200, p.get(), step=1)
    expect(p, 200, p.get("/?" + "&" * 5000))


def who_goes(p):
    """At every place in a request, politely or not."""
    raw = p.get("/debug/pprof/goroutine?debug=2")
    for n in range(0, len(raw) + 1, 5):
        with p.connect() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                s.sendall(raw[:n])
            except OSError:
                pass            # those before are not over yet: it was told so already
    p.recovers()


def who_never_reads(p):
    """Answers that nobody takes fill the socket, and then cost a thread each, but not for ever."""
    stuck = [p.connect(receives=1) for _ in range(CONNECTIONS)]
    for s in stuck:
        s.sendall(p.get("/debug/pprof/goroutine?debug=2"))
    p.recovers()
    for s in stuck:
        s.close()


def who_is_slow(p):
    """All that it has for connections are taken by those who say nothing, or too little."""
    got = None
    while got != 503:
        until(p.is_at_rest, "its rest")
        began = time.monotonic()
        slow = [p.connect() for _ in range(CONNECTIONS)]
        for i, s in enumerate(slow):
            s.sendall(p.get()[:i])
        got = status(p.ask(p.get()))    # they were before it
        p.works()
        if got != 503 and time.monotonic() - began < REQUEST_SECONDS:
            wrong("nobody keeps it from an answer:", got)
            break
        for s in slow:                  # it hangs up by itself, with no answer
            if receive(s) != b"":
                wrong("an answer to half a request")
        p.recovers()
        for s in slow:
            s.close()


def crowd(p):
    several = [p.connect() for _ in range(200)]
    counts = {}
    for s in several:
        try:
            s.sendall(p.get())
        except OSError:
            pass                # told already
    for s in several:
        got = status(receive(s))
        counts[got] = counts.get(got, 0) + 1
        s.close()
    if not counts.get(200) or not set(counts) <= {200, 503, None}:
        wrong("the crowd was told", counts)
    p.recovers()


def no_token(p):
    for more in ("", "Authorization: Bearer \r\n", f"Authorization: Bearer {p.token}0\r\n",
                 f"Authorization: Bearer {p.token[:-1]}\r\n", f"Authorization: Basic {p.token}\r\n",
                 f"Authorization: bearer{p.token}\r\n", f"X-Token: {p.token}\r\n",
                 f"Cookie: token={p.token}\r\n"):
        for path in ("/", "/metrics", "/debug/weft", "/debug/weft/events", "/nonesuch", "/?token=",
                     f"/?token={p.token}0", f"/?xtoken={p.token}", f"/?TOKEN={p.token}",
                     f"/#token={p.token}", f"/?token=x&token={p.token}"):
            expect(p, 401, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
    expect(p, 200, f"GET /?x&token={p.token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def main():
    with tempfile.TemporaryDirectory() as work:
        for address in (f"unix:{work}/socket", "127.0.0.1:0"):
            p = Program(address)
            cases = [foreign_hosts, two_of_what_is_one, paths, no_requests, too_long, who_goes,
                     crowd]
            # The rest is the same code whatever the socket, and takes its time.
            cases += [no_token] if p.token else [who_never_reads, who_is_slow]
            for case in cases:
                case(p)
                p.recovers()
            p.end()


main()
sys.exit(failed)
