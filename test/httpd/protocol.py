"""Requests as the world sends them: pipelined, split, old, malformed, too large."""
import socket
import time

from httpd import Client, Server, equal, get, main, make_tree

ROOT, FILES = make_tree()
CLEAN = [ROOT]


def refused(server, raw, status, note=""):
    """The server answers raw with the status, hangs up, and lives."""
    c = Client(server)
    try:
        c.send(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass                    # it has said enough, and stopped listening
    a = c.answer()
    equal(a.status if a else None, status, note or raw[:60])
    equal(a["connection"], "close", note or raw[:60])
    equal(c.ended(), True, "closed after " + (note or repr(raw[:60])))
    c.close()
    equal(get(server, "/small.txt").status, 200)


def test_pipelining():
    """Requests sent without waiting are answered in their order, each once."""
    paths = ["/small.txt", "/page.html", "/missing", "/edge.bin", "/list/", "/empty", "/big.bin", "/sub"] * 20
    with Server(ROOT) as s:
        c = Client(s)
        expect = [(a.status, a.body) for a in (c.get(p) for p in paths[:8])] * 20
        c.sock.settimeout(30)
        c.send("".join(f"GET {p} HTTP/1.1\r\nHost: t\r\n\r\n" for p in paths))
        for path, want in zip(paths, expect):
            a = c.answer()
            equal((a.status, a.body == want[1]), (want[0], True), path)
        c.close()


def test_pipelining_of_many_small_requests():
    """More requests than fit the server's buffer, in one piece: none may be lost at its edge."""
    n = 5000
    with Server(ROOT) as s:
        c = Client(s)
        c.send("".join(f"GET /small.txt?{i} HTTP/1.1\r\nHost: t\r\nX: {'y' * (i % 97)}\r\n\r\n" for i in range(n)))
        for i in range(n):
            equal(c.answer().body, FILES["small.txt"], f"answer {i}")
        equal(c.get("/small.txt").status, 200)
        c.close()


def test_requests_in_pieces():
    """A packet may end anywhere: between any two bytes of a request."""
    raw = b"GET /small.txt?abc HTTP/1.1\r\nHost: t\r\nRange: bytes=1-2\r\nX-Other:  v \r\n\r\n"
    with Server(ROOT) as s:
        c = Client(s)
        for cut in range(1, len(raw)):
            c.send(raw[:cut])
            time.sleep(0.0005)
            c.send(raw[cut:])
            a = c.answer()
            equal((a.status, a.body), (206, FILES["small.txt"][1:3]), f"cut at {cut}")
        for byte in raw:
            c.send(bytes([byte]))
        equal(c.answer().body, FILES["small.txt"][1:3], "byte by byte")
        c.close()


def test_http_1_0_and_close():
    """Old clients wait for the end of the connection; new ones can ask for it."""
    with Server(ROOT) as s:
        for raw, connection in [("GET /small.txt HTTP/1.0\r\n\r\n", "close"),
                                ("GET /small.txt HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "close"),
                                ("GET /small.txt HTTP/1.1\r\nHost: t\r\nConnection: foo, Close\r\n\r\n", "close")]:
            c = Client(s)
            c.send(raw)
            a = c.answer()
            equal((a.status, a["connection"], c.ended()), (200, connection, True), raw)
            c.close()
        c = Client(s)
        for _ in range(2):
            c.send("GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            a = c.answer()
            equal((a.status, a["connection"]), (200, "keep-alive"))
        c.close()


def test_methods():
    """What a file server cannot do it says, in the words that proxies understand."""
    with Server(ROOT) as s:
        c = Client(s)
        for method in ["DELETE", "OPTIONS", "PATCH", "PROPFIND"]:
            a = c.get("/small.txt", method)
            equal((a.status, a["allow"]), (405, "GET, HEAD"), method)
        equal(c.get("/small.txt").status, 200, "the connection lives on")
        c.close()
        refused(s, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello", 405)
        refused(s, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405)
        refused(s, "BREW /pot HTTP/1.1\r\nHost: t\r\n\r\n", 501)
        refused(s, "get / HTTP/1.1\r\nHost: t\r\n\r\n", 501)


def test_malformed_requests():
    """Noise, other protocols, and tricks with lengths: 400, and nobody else notices."""
    with Server(ROOT) as s:
        refused(s, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400, "TLS")
        refused(s, b"\0" * 100, 400, "NULs")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nBad Header: x\r\n\r\n", 400)
        refused(s, b"GET / HTTP/1.1\r\n\r\n", 400, "no Host")
        refused(s, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "two Hosts")
        refused(s, b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n 5\r\n\r\n", 400, "folded header")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", 400)
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400)
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400, "smuggling")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "chunk")
        refused(s, b"GET / HTTP/1.x\r\nHost: t\r\n\r\n", 400)
        refused(s, b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505)
        refused(s, b"GET /\r\n\r\n", 505, "HTTP/0.9")
        refused(s, b"GET index.html HTTP/1.1\r\nHost: t\r\n\r\n", 400, "no slash")
        c = Client(s)
        for path in ["/%", "/%4", "/%zz", "/a%00b", "/small.txt%00.html"]:
            equal(c.get(path).status, 400, path)
        equal(c.get("/small.txt").status, 200)
        c.close()


def test_too_large():
    """A header of 1 MB, or without end, must cost its sender and nobody else."""
    with Server(ROOT) as s:
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n", 431, "1 MB header")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: y\r\n" * 200000 + b"\r\n", 431, "200,000 headers")
        refused(s, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414, "long target")
        refused(s, b"GET /" + b"a" * (1 << 20), 414, "endless target")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" + b"b" * 1000000, 413, "body")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"4000\r\n" + b"c" * 0x4000 + b"\r\n" + b"ffff\r\n" + b"c" * 0xffff, 413, "chunked body")
        refused(s, b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", 417)
        # Just within the limits is served.
        c = Client(s)
        equal(c.get("/small.txt", X="x" * 15000).status, 200)
        equal(c.get("/small.txt?" + "q" * 4000).status, 200)
        equal(c.get("/" + "n" * 4000).status, 414, "longer than a file name can be")
        c.close()


def test_bodies_are_skipped():
    """A GET may have a body; what follows it is the next request, exactly."""
    chunked = "".join(f"{n:x}\r\n{'z' * n}\r\n" for n in [1, 10, 5000, 20000]) + "0\r\nTrailer: x\r\n\r\n"
    bodies = ["Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello",
              f"Content-Length: 60000\r\n\r\n{'b' * 60000}", f"Transfer-Encoding: chunked\r\n\r\n{chunked}"]
    with Server(ROOT) as s:
        # The middle of a pipelined head first, the rest in one go: it fills the server's buffer.
        for piece in [1 << 20, 1000, 37] + [-n for n in range(20, 200, 7)]:
            c = Client(s)
            raw = "".join("GET /small.txt HTTP/1.1\r\nHost: t\r\n" + b for b in bodies).encode()
            if piece < 0:
                c.send(raw[:-piece])
                time.sleep(0.01)
                c.send(raw[-piece:])
            else:
                for i in range(0, len(raw), piece):
                    c.send(raw[i:i + piece])
            for b in bodies:
                equal(c.answer().body, FILES["small.txt"], f"{b[:30]!r} in pieces of {piece}")
            equal(c.get("/page.html").body, FILES["page.html"])
            c.close()


def test_targets():
    """Proxies send whole URLs; browsers never send what follows '#', others do."""
    with Server(ROOT) as s:
        c = Client(s)
        for path in ["http://test/small.txt", "http://test:80/small.txt?x", "/small.txt?/../x", "/small.txt#part",
                     "/./small.txt", "/sub/../small.txt", "/%73mall.txt", "//small.txt"]:
            equal((c.get(path).body, path), (FILES["small.txt"], path))
        equal(c.get("http://test").body, FILES["index.html"])
        equal(c.get("/small.txt", Upgrade="h2c", Connection="Upgrade").body, FILES["small.txt"], "Upgrade")
        c.close()


def test_outside_is_out_of_reach():
    """The one thing a file server must never do: serve a file from elsewhere."""
    import os
    secret = os.path.join(os.path.dirname(ROOT), os.path.basename(ROOT) + ".secret")
    with open(secret, "w") as f:
        f.write("secret")
    links = {"abs": secret, "rel": "../" + os.path.basename(secret), "up": "..", "proc": "/proc/self/root" + secret}
    for name, target in links.items():
        os.symlink(target, os.path.join(ROOT, name))
    os.symlink("small.txt", os.path.join(ROOT, "inside"))
    os.mkfifo(os.path.join(ROOT, "fifo"))
    name = os.path.basename(secret)
    up = ["/../", "/%2e%2e/", "/.%2E/", "/..%2f", "/%2e%2e%2f", "/sub/../../", "/sub/%2e%2e/%2e%2e/", "/up/",
          "/./../", "//../", "/sub//..//../"]
    with Server(ROOT) as s:
        c = Client(s)
        for path in [u + name for u in up] + ["/abs", "/rel", "/proc", "/up", "/fifo", "/../../../../etc/passwd"]:
            a = c.get(path)
            equal(a.status, 403, path)
            equal(b"secret" in a.body, False, path)
        for path in ["/.hidden", "/.git/config", "/sub/../.hidden", "/%2ehidden", "/\\..\\" + name]:
            equal(c.get(path).status, 404, path)
        equal(c.get("/inside").body, FILES["small.txt"], "a link that stays inside")
        equal(c.get("/.well-known/x").body, FILES[".well-known/x"])
        c.close()
    for n in [*links, "inside", "fifo"]:
        os.unlink(os.path.join(ROOT, n))
    os.unlink(secret)


def test_requests_per_connection():
    """A limit that cuts off answers would lose them; it only says that this was the last."""
    with Server(ROOT, "--max-requests=3") as s:
        c = Client(s)
        c.send("GET /small.txt HTTP/1.1\r\nHost: t\r\n\r\n" * 5)
        answers = [c.answer() for _ in range(3)]
        equal([a["connection"] for a in answers], [None, None, "close"])
        equal(c.ended(), True)
        c.close()


def test_half_closed_client():
    """A client that has said all (nc -N) still wants its answer."""
    with Server(ROOT) as s:
        c = Client(s)
        c.send("GET /page.html HTTP/1.1\r\nHost: t\r\n\r\nGET /small.txt HTTP/1.1\r\nHost: t\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        equal((c.answer().body, c.answer().body), (FILES["page.html"], FILES["small.txt"]))
        equal(c.ended(), True)
        c.close()


main()
