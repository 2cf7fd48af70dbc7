"""
What the tests of weft-httpd share: a server that is started, watched and stopped, a
client that sends raw bytes and reads whole answers, and a small runner.

A test is a function named test_*; its first line says what would go wrong in the world
if it failed. Every wait has a limit, so a hung server is a failure and not a hung test.
"""
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ.get("WEFT_BUILD", "build/debug")
PROGRAM = os.environ.get("WEFT_HTTPD", os.path.join(BUILD, "weft-httpd"))
SCALE = float(os.environ.get("WEFT_TEST_SCALE", "1"))
WAIT = 20 * SCALE           # seconds until whatever we wait for will not come any more


class Server:
    """A running weft-httpd. Ends with the with-block: stopped, and found to have ended well."""

    def __init__(self, root, *args, prefix=(), quiet=True, expect=0, scheme="http"):
        self.expect = expect
        self.err = tempfile.TemporaryFile()
        command = [*prefix, PROGRAM, *(["--quiet"] if quiet else []), *args, root]
        self.proc = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.err)
        self.line = self.read_line()
        head = f"weft-httpd: serving {root} on {scheme}://127.0.0.1:"
        if not self.line.startswith(head) or not self.line.endswith("/\n"):
            self.proc.kill()
            raise AssertionError(f"not the line of a ready server: {self.line!r}; {self.stderr()}")
        self.port = int(self.line[len(head):-2])

    def read_line(self):
        line, limit = b"", time.monotonic() + WAIT
        while not line.endswith(b"\n") and time.monotonic() < limit:
            if select.select([self.proc.stdout], [], [], 0.1)[0]:
                byte = os.read(self.proc.stdout.fileno(), 1)
                if not byte:
                    break
                line += byte
        return line.decode()

    def stderr(self):
        self.err.seek(0)
        return self.err.read().decode(errors="replace")

    @property
    def pid(self):
        return self.proc.pid

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptors_at_rest(self):
        """As many as it needs for itself: what a request leaves behind counts against it later."""
        equal(get(self, "/").status, 200)
        time.sleep(0.1)         # the connection of that request has ended
        return self.descriptors()

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def alive(self):
        return self.proc.poll() is None

    def stop(self, sig=signal.SIGTERM):
        """Stops it; returns its exit status."""
        if self.alive():
            self.proc.send_signal(sig)
        return self.wait()

    def wait(self):
        try:
            return self.proc.wait(WAIT)
        except subprocess.TimeoutExpired:
            # SIGQUIT makes weft print every goroutine: that is what one wants to see now.
            self.proc.send_signal(signal.SIGQUIT)
            time.sleep(1)
            self.proc.kill()
            self.proc.wait()
            raise AssertionError("it did not end:\n" + self.stderr()[-20000:])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.proc.kill()
            self.proc.wait()
            sys.stderr.write(self.stderr()[-8000:])
            return
        status = self.stop()
        if status != self.expect:
            raise AssertionError(f"exit status {status}, not {self.expect}: {self.stderr()}")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name.lower())


class Client:
    """One connection. Sends bytes as they are; reads answers to the last byte."""

    def __init__(self, server, timeout=WAIT):
        port = server if isinstance(server, int) else server.port
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = bytearray()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def fill(self):
        data = self.sock.recv(1 << 18)
        self.buf += data
        return data

    def answer(self, head=False):
        """The next answer, or None if the connection ended instead of one."""
        while b"\r\n\r\n" not in self.buf:
            if not self.fill():
                if self.buf:
                    raise AssertionError(f"half an answer: {self.buf[:200]!r}")
                return None
        top = self.buf[:self.buf.index(b"\r\n\r\n")]
        del self.buf[:len(top) + 4]
        lines = top.decode("latin-1").split("\r\n")
        version, status, phrase = lines[0].split(" ", 2)
        if version != "HTTP/1.1" or not phrase:
            raise AssertionError(f"not a status line: {lines[0]!r}")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(": ")
            if not colon or name.lower() in headers:
                raise AssertionError(f"not a header line: {line!r}")
            headers[name.lower()] = value
        n = 0 if head or int(status) == 304 else int(headers["content-length"])
        while len(self.buf) < n:
            if not self.fill():
                raise AssertionError(f"{len(self.buf)} bytes of a body of {n}")
        body = bytes(self.buf[:n])
        del self.buf[:n]
        return Answer(int(status), headers, body)

    def get(self, path="/", method="GET", **headers):
        """One request, one answer. Header names with _ for -."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")
        return self.answer(head=method == "HEAD")

    def ended(self):
        """True when the server closes; False when it says something else or nothing."""
        try:
            return not self.buf and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()

    def vanish(self):
        """Ends with a reset, as a client whose program was killed in the middle of sending."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


def get(server, path="/", **kw):
    c = Client(server)
    a = c.get(path, **kw)
    c.close()
    return a


def equal(got, want, what=""):
    if got != want:
        def short(v):
            text = repr(v)
            return text if len(text) < 300 else text[:300] + f"... ({len(text)})"
        raise AssertionError(f"{what or 'value'}: {short(got)}, not {short(want)}")


def until(what, condition):
    """Waits for a condition that must come true."""
    limit = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"it never came to this: {what}")
        time.sleep(0.01)


def make_tree():
    """A directory with the kinds of files that file servers get wrong."""
    root = tempfile.mkdtemp(prefix="weft-httpd-")
    rng = random.Random(1)
    files = {
        "empty": b"",
        "small.txt": b"Hello.\n",
        "index.html": b"<!doctype html><title>index</title>\n",
        "page.html": bytes(rng.choice(b"abcdef \n") for _ in range(9000)),
        "edge.bin": rng.randbytes(16384),
        "big.bin": rng.randbytes(10 << 20),
        "name with spaces.txt": b"spaces\n",
        "h\u00e9llo w\u00f6rld \u4e2d.txt": "\u00fc\n".encode(),
        "a&b<c>'d\".txt": b"html\n",
        "per%cent?#.txt": b"reserved\n",
        "sub/index.html": b"sub\n",
        "list/one.css": b"a{}\n",
        "list/two.md": b"# two\n",
        "list/deeper/x.json": b"{}\n",
        ".hidden": b"hidden\n",
        ".git/config": b"hidden\n",
        ".well-known/x": b"known\n",
    }
    for name, data in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
    return root, files


def main():
    """Runs every test_* of the main module, or those named on the command line."""
    module = sys.modules["__main__"]
    names = sys.argv[1:] or [n for n in dir(module) if n.startswith("test_")]
    failed = 0
    for name in names:
        started = time.monotonic()
        try:
            getattr(module, name)()
            verdict = "ok"
        except Exception:
            traceback.print_exc()
            verdict = "FAILED"
            failed += 1
        print(f"{verdict:6} {time.monotonic() - started:6.2f} s  {name}", flush=True)
    for path in getattr(module, "CLEAN", []):
        shutil.rmtree(path, ignore_errors=True)
    sys.exit(1 if failed else 0)
