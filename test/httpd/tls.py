"""weft-httpd --tls: what curl, wrk and Python's ssl see, and who is not let in."""
import hashlib
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from httpd import PROGRAM, WAIT, Client, Server, equal, main, make_tree, until

ROOT, FILES = make_tree()
DIR = tempfile.mkdtemp(prefix="weft-tls-")
CLEAN = [ROOT, DIR]
subprocess.run(["bash", os.environ["WEFT_SRC"] + "/test/tls/certificates", DIR], check=True)
CERT, KEY, CA = (f"{DIR}/{name}" for name in ("good.pem", "good.key", "ca.pem"))


def serve(*args, cert=CERT, key=KEY):
    return Server(ROOT, "--tls", cert, key, *args, scheme="https")


class TlsClient(Client):
    def __init__(self, server, alpn=None):
        super().__init__(server)
        context = ssl.create_default_context(cafile=CA)
        if alpn:
            context.set_alpn_protocols(alpn)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")


def get(server, path="/"):
    c = TlsClient(server)
    a = c.get(path)
    c.close()
    return a


def at_rest(server):
    equal(get(server).status, 200)
    time.sleep(0.2)
    return server.descriptors()


def test_curl():
    """The client that most people have: every file, byte for byte, several on one connection."""
    with serve() as s:
        for version in "--tlsv1.3", "--tls-max=1.2":
            for name in "small.txt", "big.bin", "edge.bin", "empty":
                p = subprocess.run(["curl", "-sS", "--http1.1", "--cacert", CA,
                                    *version.split("="), f"https://localhost:{s.port}/{name}",
                                    f"https://localhost:{s.port}/{name}"],
                                   capture_output=True, timeout=WAIT)
                equal((p.returncode, p.stderr), (0, b""))
                equal(p.stdout == FILES[name] * 2, True, name)
        p = subprocess.run(["curl", "-sS", f"https://localhost:{s.port}/"], capture_output=True)
        equal(p.returncode, 60, "curl does not know our authority")


def test_through_the_proxy():
    """HTTPS is what proxies are for."""
    proxy = subprocess.Popen([os.path.join(os.environ["WEFT_BUILD"], "examples/proxy"),
                              "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    port = proxy.stdout.readline().split()[-1]
    with serve() as s:
        for args in ["--proxy", f"http://127.0.0.1:{port}"], ["--socks5", f"127.0.0.1:{port}"]:
            p = subprocess.run(["curl", "-sS", "--cacert", CA, *args,
                                f"https://localhost:{s.port}/big.bin"], capture_output=True,
                               timeout=WAIT)
            equal((p.returncode, p.stderr), (0, b""))
            equal(hashlib.sha256(p.stdout).digest() == hashlib.sha256(FILES["big.bin"]).digest(), True)
    proxy.terminate()
    equal(proxy.wait(WAIT), 0)


def test_requests_in_a_row():
    """Keep-alive, pipelining, a long pause in between: the same as without TLS."""
    with serve() as s:
        c = TlsClient(s, alpn=["h2", "http/1.1"])
        equal((c.sock.selected_alpn_protocol(), c.sock.version()), ("http/1.1", "TLSv1.3"))
        for i in range(20):
            equal(c.get("/page.html").body == FILES["page.html"], True)
        c.send("GET /small.txt HTTP/1.1\r\nHost: t\r\n\r\n" * 10)
        for i in range(10):
            equal(c.answer().body, FILES["small.txt"])
        time.sleep(0.5)
        equal(c.get("/small.txt").body, FILES["small.txt"])
        c.send("nonsense\r\n\r\n")
        equal((c.answer().status, c.ended()), (400, True), "told so, and then close_notify")
        c.close()


def test_who_speaks_something_else():
    """Plain HTTP on this port, a client of another protocol, noise: an end, not an answer."""
    with serve() as s:
        before = at_rest(s)
        for raw in b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", os.urandom(500), b"\x16\x03\x01\x40\x00x":
            c = Client(s)
            c.send(raw)
            c.sock.shutdown(socket.SHUT_WR)
            data = b""
            try:
                while piece := c.sock.recv(4096):
                    data += piece
            except ConnectionResetError:
                pass
            equal(b"HTTP" in data, False, data)
            c.close()
        try:
            TlsClient(s, alpn=["h2"])
            raise AssertionError("a client that speaks h2 only was let in")
        except ssl.SSLError as e:
            equal("no application protocol" in str(e).lower().replace("_", " "), True, str(e))
        until("all descriptors are back", lambda: s.descriptors() <= before)


def test_slow_handshakes():
    """Clients that connect and say little or nothing are cut off; others are served meanwhile."""
    with serve("--request-timeout=1.2") as s:
        before = at_rest(s)
        slow = [Client(s) for _ in range(60)]
        for i, c in enumerate(slow):
            if i % 2:
                c.send(b"\x16\x03\x01")
        equal(get(s, "/small.txt").body, FILES["small.txt"])
        for c in slow:
            equal(c.ended(), True)
            c.close()
        until("all descriptors are back", lambda: s.descriptors() <= before)


def test_clients_vanish():
    """At any byte of handshake, request and answer: nothing of them stays."""
    with serve() as s:
        before = at_rest(s)
        for i in range(60):
            if i % 3 == 0:
                c = Client(s)
                c.send(bytes.fromhex("16030100c8010000c40303") + os.urandom(i))
            else:
                c = TlsClient(s)
                c.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n"[:40 * (i % 2)])
                if i % 5 == 0 and i % 2:
                    c.sock.recv(100)
            c.vanish()
        equal(get(s, "/small.txt").body, FILES["small.txt"])
        until("all descriptors are back", lambda: s.descriptors() <= before)


def test_wrk():
    """Load: no error, and all descriptors back."""
    with serve() as s:
        before = at_rest(s)
        p = subprocess.run(["wrk", "-t1", "-c50", "-d2s", f"https://127.0.0.1:{s.port}/page.html"],
                           capture_output=True, text=True, timeout=WAIT)
        equal(p.returncode, 0, p.stderr)
        equal("Socket errors" in p.stdout or "Non-2xx" in p.stdout, False, p.stdout)
        equal("Requests/sec" in p.stdout, True, p.stdout)
        until("all descriptors are back", lambda: s.descriptors() <= before)


def test_stop_in_the_middle():
    """What was accepted is answered whole; idle connections end with a word."""
    with serve() as s:
        idle = TlsClient(s)
        equal(idle.get("/small.txt").status, 200)
        answers = []
        clients = [TlsClient(s) for _ in range(10)]
        for c in clients:
            c.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        for c in clients:
            c.fill()
        threads = [threading.Thread(target=lambda c=c: answers.append(c.answer().body))
                   for c in clients]
        for t in threads:
            t.start()
        equal(s.stop(), 0)
        for t in threads:
            t.join(WAIT)
        equal([a == FILES["big.bin"] for a in answers], [True] * 10)
        equal(idle.ended(), True)


def test_wrong_certificates():
    """A server that cannot prove who it is does not start, and says which file is to blame."""
    def run(*args):
        p = subprocess.run([PROGRAM, "-q", *args, ROOT], capture_output=True, text=True, timeout=WAIT)
        return p.returncode, p.stdout, p.stderr

    status, out, err = run("--tls", "/no/such", KEY)
    equal((status, out, "/no/such: No such file" in err), (1, "", True), err)
    status, out, err = run("--tls", CERT, f"{DIR}/mixed.key")
    equal((status, out, "key values mismatch" in err), (1, "", True), err)
    p = subprocess.run([PROGRAM, "--tls", CERT], capture_output=True, text=True, timeout=WAIT)
    equal((p.returncode, "a certificate and a key" in p.stderr), (2, True), p.stderr)
    # The directory may come first.
    p = subprocess.Popen([PROGRAM, "-q", ROOT, "--tls", CERT, KEY], stdout=subprocess.PIPE, text=True)
    equal(p.stdout.readline().startswith(f"weft-httpd: serving {ROOT} on https://"), True)
    p.terminate()
    equal(p.wait(WAIT), 0)


main()
