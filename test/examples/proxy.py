"""
The proxy of examples/, by curl, nc and socat and by clients that mean no good: what it carries, whom
it refuses, what it leaves behind.
"""
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

BUILD = os.environ["WEFT_BUILD"]
SCALE = float(os.environ.get("WEFT_TEST_SCALE", "1"))
WAIT = 30 * SCALE


class Proxy:
    """A running proxy. Ends with the block: by SIGTERM, with status 0, whatever goes on."""

    def __init__(self, *args):
        command = [os.path.join(BUILD, "examples/proxy"), *args, "127.0.0.1:0"]
        self.p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        found = re.fullmatch(r"proxy: listening on port (\d+)\n", self.p.stdout.readline())
        self.port = int(found[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.p.pid}/fd"))

    def cpu(self):
        with open(f"/proc/{self.p.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def at_rest(self):
        """As many descriptors as it needs for itself, after a first tunnel."""
        with Target(echo) as t:
            equal(talk(socks(self, t.port), b"hello"), b"hello")
        time.sleep(0.2)
        return self.descriptors()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.p.kill()
            self.p.wait()
            return
        self.p.send_signal(signal.SIGTERM)
        equal(self.p.wait(WAIT), 0, "its exit status")


class Target:
    """A server in a thread: what it does with each connection is a function of the socket."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s = self.listener.accept()[0]
            except OSError:
                return
            s.settimeout(WAIT)
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        try:
            self.serve(s)
        except OSError:
            pass
        s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def echo(s):
    while data := s.recv(65536):
        s.sendall(data)


def silent(s):
    while s.recv(65536):
        pass


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), WAIT)


def socks(proxy, port, host=None):
    """A tunnel, by SOCKS 5. host: a name instead of the number."""
    s = connect(proxy)
    s.sendall(b"\5\1\0")
    equal(s.recv(2), b"\5\0")
    where = b"\3" + bytes([len(host)]) + host if host else b"\1\x7f\0\0\1"
    s.sendall(b"\5\1\0" + where + struct.pack(">H", port))
    equal(s.recv(10)[:2], b"\5\0", "a SOCKS reply")
    return s


def http(proxy, port, more=b""):
    s = connect(proxy)
    s.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port + more)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += s.recv(1)
    equal(head.split(b" ")[1], b"200", head)
    return s


def talk(s, data):
    """Sends all and then says so; returns all that comes."""
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
    got = b""
    while piece := s.recv(1 << 18):
        got += piece
    s.close()
    return got


def vanish(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: {got!r:.300}, not {want!r:.300}")


def until(what, condition):
    limit = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"it never came to this: {what}")
        time.sleep(0.01)


def run(*command, **kw):
    p = subprocess.run(command, capture_output=True, timeout=WAIT * 2, **kw)
    return p.returncode, p.stdout, p.stderr


class Httpd:
    """weft-httpd with one large file."""

    def __init__(self, size):
        self.root = subprocess.check_output(["mktemp", "-d"], text=True).strip()
        with open(self.root + "/big", "wb") as f:
            f.write(os.urandom(size))
        with open(self.root + "/big", "rb") as f:
            self.sum = hashlib.sha256(f.read()).hexdigest()
        self.p = subprocess.Popen([os.path.join(BUILD, "weft-httpd"), "-q", self.root],
                                  stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline().rstrip("/\n").rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.terminate()
        self.p.wait(WAIT)
        subprocess.run(["rm", "-r", self.root], check=True)


def test_curl_by_both_ways():
    """What people will use it with: a large file through curl, to the last byte."""
    with Proxy() as p, Httpd(20_000_000) as h:
        before = p.at_rest()
        for args in (["--proxy", f"http://127.0.0.1:{p.port}", "--proxytunnel"],
                     ["--socks5", f"127.0.0.1:{p.port}"],
                     ["--socks5-hostname", f"127.0.0.1:{p.port}"]):
            status, out, err = run("curl", "-sS", *args, f"http://localhost:{h.port}/big"
                                   if "hostname" in args[0] else f"http://127.0.0.1:{h.port}/big")
            equal(status, 0, err)
            equal(hashlib.sha256(out).hexdigest(), h.sum, args[0])
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_nc_and_socat():
    """Other programs' idea of the two protocols."""
    with Proxy() as p, Target(echo) as t:
        for kind in "5", "connect":
            status, out, err = run("nc", "-N", "-X", kind, "-x", f"127.0.0.1:{p.port}", "127.0.0.1",
                                   str(t.port), input=b"by nc\n")
            equal((status, out), (0, b"by nc\n"), err)
        data = os.urandom(3_000_000)
        status, out, err = run("socat", "-t", "30", "-",
                               f"PROXY:127.0.0.1:127.0.0.1:{t.port},proxyport={p.port}", input=data)
        equal((status, out == data), (0, True), err)


def test_both_directions_carry_much():
    """20 tunnels, each full in both directions at once: nothing lost, mixed or repeated."""
    wrong = []

    def one(p, t, i):
        data = hashlib.sha256(b"%d" % i).digest() * 60_000
        s = socks(p, t.port) if i % 2 else http(p, t.port)
        if talk(s, data) != data:
            wrong.append(i)

    with Proxy() as p, Target(echo) as t:
        before = p.at_rest()
        threads = [threading.Thread(target=one, args=(p, t, i)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT * 2)
        equal(wrong, [])
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_each_direction_ends_by_itself():
    """"That was my question" must not cut off the answer; nor the answer's end the question."""
    def answer_late(s):
        got = b""
        while piece := s.recv(65536):
            got += piece
        time.sleep(0.3)
        s.sendall(got[::-1])

    def answer_early(s):
        s.sendall(b"first")
        s.shutdown(socket.SHUT_WR)
        got = b""
        while piece := s.recv(65536):
            got += piece
        heard.append(got)

    heard = []
    with Proxy() as p:
        with Target(answer_late) as t:
            equal(talk(socks(p, t.port), b"question"), b"noitseuq")
        with Target(answer_early) as t:
            s = http(p, t.port)
            equal(s.recv(100), b"first")
            equal(s.recv(100), b"")
            s.sendall(b"and then mine")
            s.shutdown(socket.SHUT_WR)
            until("the target has heard it all", lambda: heard == [b"and then mine"])
            s.close()


def test_what_follows_the_request_at_once_is_not_lost():
    """A client that does not wait for the answer: its first bytes come with the request."""
    with Proxy() as p, Target(echo) as t:
        s = http(p, t.port, b"early ")
        equal(talk(s, b"bird"), b"early bird")
        s = connect(p)
        s.sendall(b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", t.port) + b"early ")
        got = b""
        while len(got) < 12:
            got += s.recv(12 - len(got))
        equal(got[:4], b"\5\0\5\0")
        equal(talk(s, b"bird"), b"early bird")


def test_names_and_numbers():
    """All forms of address that SOCKS has."""
    with Proxy() as p, Target(echo) as t:
        equal(talk(socks(p, t.port, b"localhost"), b"name"), b"name")
        equal(talk(socks(p, t.port, b"127.0.0.1"), b"text"), b"text")
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
            s = connect(p)
            s.sendall(b"\5\2\2\0")
            equal(s.recv(2), b"\5\0")
            s.sendall(b"\5\1\0\4" + socket.inet_pton(socket.AF_INET6, "::1") +
                      struct.pack(">H", six.getsockname()[1]))
            equal(s.recv(10)[:2], b"\5\0")
            s.close()


def test_targets_that_refuse_are_told():
    """The client hears why, and in its own protocol."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Proxy() as p:
        before = p.at_rest()
        s = connect(p)
        s.sendall(b"\5\1\0\5\1\0\1\x7f\0\0\1" + struct.pack(">H", port))
        equal(s.recv(2) + s.recv(10)[:2], b"\5\0\5\5", "connection refused")
        equal(s.recv(1), b"")
        s.close()
        for request, status in [(f"CONNECT 127.0.0.1:{port} HTTP/1.1", b"502"),
                                ("CONNECT no.such.name.invalid:80 HTTP/1.1", b"502"),
                                ("CONNECT nonsense HTTP/1.1", b"400"), ("CONNECT ", b"400"),
                                ("GET http://127.0.0.1/ HTTP/1.1", b"405")]:
            s = connect(p)
            s.sendall(request.encode() + b"\r\n\r\n")
            equal(s.recv(1000).split(b" ")[1], status, request)
            equal(s.recv(1), b"", request)
            s.close()
        # Methods that we do not have, commands that we do not know, kinds of address.
        for bytes_, answer in [(b"\5\1\2", b"\5\xff"),
                               (b"\5\1\0\5\2\0\1\x7f\0\0\1\0\1", b"\5\0\5\7"),
                               (b"\5\1\0\5\1\0\x09\x7f\0\0\1\0\1", b"\5\0\5\x08"),
                               (b"\5\1\0\5\1\0\3\x04a:b]\0\1", b"\5\0\5\1")]:
            s = connect(p)
            s.sendall(bytes_)
            got = b""
            while len(got) < len(answer) and (piece := s.recv(100)):
                got += piece
            equal(got[:len(answer)], answer, bytes_)
            s.close()
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_a_target_that_does_not_answer():
    """A full queue, as a dead machine: the client hears of it when the time is over."""
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(0)
    fill = []
    for _ in range(3):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(hole.getsockname())
        fill.append(s)
    with Proxy("-w", "1") as p:
        before = p.at_rest()
        s = connect(p)
        s.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % hole.getsockname()[1])
        equal(s.recv(1000).split(b" ")[1], b"504")
        s.close()
        until("all descriptors are back", lambda: p.descriptors() <= before)
    for s in [hole, *fill]:
        s.close()


def test_slow_and_silent_clients():
    """Clients that send a byte now and then, or none, are cut off; others do not notice."""
    with Proxy("-w", "1.5") as p, Target(echo) as t:
        before = p.at_rest()
        slow = [connect(p) for _ in range(50)]
        for i in range(3):
            for k, s in enumerate(slow):
                if k % 3:
                    s.sendall(b"CONNECT"[i:i + 1] if k % 3 == 1 else b"\5\3\0"[i:i + 1])
            equal(talk(socks(p, t.port), b"me"), b"me")
            time.sleep(0.3)
        for k, s in enumerate(slow):
            if k % 3 == 1:
                equal(s.recv(1000).split(b" ")[1], b"408")
            equal(s.recv(1000), b"")
            s.close()
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_idle_tunnels_end_busy_ones_do_not():
    """A tunnel lives as long as something moves in it, in whichever direction."""
    def drip(s):
        for _ in range(12):
            s.sendall(b".")
            time.sleep(0.25)

    with Proxy("-i", "1") as p, Target(silent) as quiet, Target(drip) as t:
        before = p.at_rest()
        idle = socks(p, quiet.port)
        busy = socks(p, t.port)
        got = b""
        while piece := busy.recv(100):
            got += piece
        equal(got, b"." * 12, "three times as long as may be idle")
        equal(idle.recv(1), b"")
        idle.close()
        busy.close()
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_no_more_than_so_many():
    """Who comes when it is full waits, and is served when there is room."""
    with Proxy("-c", "5") as p, Target(echo) as t:
        held = [socks(p, t.port) for _ in range(5)]
        late = connect(p)
        late.sendall(b"\5\1\0")
        late.settimeout(0.5)
        try:
            raise AssertionError(f"a sixth was let in: {late.recv(2)}")
        except socket.timeout:
            pass
        late.settimeout(WAIT)
        held[0].close()
        equal(late.recv(2), b"\5\0")
        for s in [late, *held]:
            s.close()
        equal(talk(socks(p, t.port), b"again"), b"again")


def test_clients_and_targets_vanish():
    """Either end dies at any moment: nothing of it is left, and others go on."""
    def die(s):
        s.recv(10)
        vanish(s)

    with Proxy() as p, Target(echo) as t, Target(die) as dying:
        before = p.at_rest()
        for i in range(150):
            s = connect(p)
            raw = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % (t.port if i % 2 else dying.port)
            n = (i * 13) % 300
            s.sendall((raw + b"x" * 300)[:n])
            if i % 5 == 4 and n >= len(raw):
                s.recv(30)
            vanish(s) if i % 3 else s.close()
        equal(talk(http(p, t.port), b"alive"), b"alive")
        until("all descriptors are back", lambda: p.descriptors() <= before)


def test_noise():
    """Random bytes from many at once, and no processor is lost to them afterwards."""
    with Proxy("-w", "2") as p, Target(echo) as t:
        before = p.at_rest()
        for _ in range(4):
            noisy = [connect(p) for _ in range(50)]
            for i, s in enumerate(noisy):
                try:
                    s.sendall((b"", b"\5", b"CONNECT ", b"\5\1\0\5\1\0\3")[i % 4] +
                              os.urandom(i * 97))
                except (BrokenPipeError, ConnectionResetError):
                    pass
            equal(talk(socks(p, t.port), b"me"), b"me")
            for i, s in enumerate(noisy):
                vanish(s) if i % 2 else s.close()
        until("all descriptors are back", lambda: p.descriptors() <= before)
        cpu = p.cpu()
        time.sleep(1)
        equal(p.cpu() - cpu < 0.3, True, "at rest it rests")


def test_a_stop_with_tunnels_open():
    """SIGINT while tunnels are busy, idle, and half made: it ends, soon, with status 0."""
    with Target(echo) as t, Target(silent) as quiet:
        p = Proxy()
        open_ = [socks(p, quiet.port) for _ in range(20)] + [connect(p) for _ in range(20)]
        p.p.send_signal(signal.SIGINT)
        equal(p.p.wait(WAIT), 0)
        for s in open_:
            try:
                equal(s.recv(1), b"")
            except ConnectionResetError:
                pass
            s.close()
        # Nothing open: at once. A tunnel that ends within the grace: whole.
        p = Proxy()
        s = socks(p, t.port)
        p.p.send_signal(signal.SIGTERM)
        equal(talk(s, b"last words"), b"last words")
        equal(p.p.wait(WAIT), 0)


def test_wrong_usage():
    """What makes no sense is said."""
    program = os.path.join(BUILD, "examples/proxy")
    for args in ["-c", "0"], ["-i", "x"], ["-z"]:
        equal(run(program, *args)[0], 64, args)
    status, _, err = run(program, "nonsense")
    equal((status, err), (1, b"proxy: nonsense: Invalid argument\n"))


def main():
    failed = 0
    for name, test in [(n, f) for n, f in globals().items() if n.startswith("test_")]:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        started = time.monotonic()
        try:
            test()
            print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print("FAILED", name)
            traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    os._exit(failed > 0)


main()
