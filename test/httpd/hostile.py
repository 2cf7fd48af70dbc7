"""Clients that are slow, silent, greedy or gone, and a server that runs out of descriptors."""
import os
import socket
import time

from httpd import Client, Server, equal, get, main, make_tree, until

ROOT, FILES = make_tree()
CLEAN = [ROOT]


def test_one_byte_per_second():
    """A few clients that send a byte now and then (slowloris) must not hold the server."""
    with Server(ROOT, "--request-timeout=1.2", "--idle-timeout=30") as s:
        slow = [Client(s) for _ in range(20)]
        raw = b"GET /small.txt HTTP/1.1\r\nHost: t\r\n\r\n"
        started = time.monotonic()
        for i in range(2):
            for c in slow:
                c.send(raw[i:i + 1])
            equal(get(s, "/small.txt").status, 200, "others are served")
            time.sleep(0.5)
        for c in slow:
            a = c.answer()
            equal((a.status, a["connection"], c.ended()), (408, "close", True))
            c.close()
        equal(time.monotonic() - started >= 1.2, True, "not before its time")


def test_silent_clients():
    """A connection without a request, and one after its request, end when the time is over."""
    with Server(ROOT, "--idle-timeout=0.6") as s:
        never, once = Client(s), Client(s)
        equal(once.get("/small.txt").status, 200)
        started = time.monotonic()
        equal((never.ended(), once.ended()), (True, True))
        equal(time.monotonic() - started >= 0.3, True, "not before its time")
        never.close()
        once.close()


def test_idle_longer_than_the_buffers_are_held():
    """A connection that gave its buffers back must get them again when a request comes."""
    with Server(ROOT, "--idle-timeout=30") as s:
        c = Client(s)
        for _ in range(2):
            equal(c.get("/page.html").body, FILES["page.html"])
            time.sleep(1.3)
        equal(c.get("/page.html").body, FILES["page.html"])
        c.close()


def test_client_that_does_not_read():
    """A client that asks for a large file and takes nothing is let go of, others are served."""
    with Server(ROOT, "--write-timeout=1") as s:
        before = s.descriptors_at_rest()
        c = Client(s)
        for _ in range(8):
            c.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.1)
        equal(get(s, "/small.txt").status, 200)
        until("the connection is closed", lambda: s.descriptors() <= before)
        c.close()


def test_slow_reader_gets_all():
    """Slow is not gone: whoever takes his bytes, however late, gets every one."""
    with Server(ROOT, "--write-timeout=2") as s:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", s.port))
        sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        data, started = b"", time.monotonic()
        while True:
            piece = sock.recv(256 << 10)
            if not piece:
                break
            data += piece
            if time.monotonic() - started < 3:
                time.sleep(0.01)
        equal(data.partition(b"\r\n\r\n")[2] == FILES["big.bin"], True)
        sock.close()


def test_vanishing_clients():
    """Clients die at every moment: before, in, and after their request, and in the answer."""
    with Server(ROOT) as s:
        before = s.descriptors_at_rest()
        raw = b"GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n"
        for i in range(200):
            c = Client(s)
            c.send(raw[:len(raw) * (i % 5) // 4])
            if i % 5 == 4 and i % 2:
                c.sock.recv(1000)
            if i % 3:
                c.vanish()
            else:
                c.close()
        equal(get(s, "/small.txt").status, 200)
        until("their descriptors are closed", lambda: s.descriptors() <= before)


def test_max_conns():
    """One too many is told so, and there is room again when others leave."""
    with Server(ROOT, "--max-conns=10") as s:
        held = [Client(s) for _ in range(10)]
        for c in held:
            equal(c.get("/small.txt").status, 200)
        for _ in range(3):
            extra = Client(s)
            a = extra.answer()
            equal((a.status, a["connection"], a["retry-after"], extra.ended()), (503, "close", "1", True))
            extra.close()
        equal(held[0].get("/small.txt").status, 200, "those who are in stay in")
        for c in held[5:]:
            c.close()
        until("there is room again", lambda: get(s, "/small.txt").status == 200)
        equal("--max-conns is reached: answering 503" in s.stderr(), True, s.stderr())
        for c in held[:5]:
            c.close()


def test_out_of_descriptors():
    """EMFILE on accept: a loop that spins, or a server that stops accepting for good."""
    limit = 64
    with Server(ROOT, prefix=("prlimit", f"--nofile={limit}:{limit}")) as s:
        before = s.descriptors_at_rest()
        held = []
        refused = 0
        while refused < 5 and len(held) < 2 * limit:
            c = Client(s)
            a = c.get("/small.txt")
            if a.status == 200:
                held.append(c)
            else:
                equal((a.status, a["connection"]) in [(503, "close"), (503, None)], True, a.status)
                refused += 1
                c.close()
        equal(refused, 5, "clients refused in words")
        equal(len(held) > limit / 2, True, f"{len(held)} served at a time")
        # Clients that wait in the queue must not make it spin.
        waiting = [Client(s) for _ in range(20)]
        cpu, started = s.cpu_seconds(), time.monotonic()
        time.sleep(1)
        used = (s.cpu_seconds() - cpu) / (time.monotonic() - started)
        equal(used < 0.3, True, f"{used:.2f} of a processor used for nothing")
        for c in held + waiting:
            c.close()
        until("it has recovered", lambda: get(s, "/small.txt").status == 200)
        until("all descriptors are back", lambda: s.descriptors() <= before)
        equal("Too many open files: answering 503" in s.stderr(), True, s.stderr())
        c = Client(s)
        for _ in range(100):
            equal(c.get("/page.html").body, FILES["page.html"])
        c.close()


def test_a_storm_of_noise():
    """Random bytes from many clients at once: the server answers the next honest one."""
    with Server(ROOT, "--request-timeout=1") as s:
        before = s.descriptors_at_rest()
        for round in range(5):
            clients = [Client(s) for _ in range(40)]
            for i, c in enumerate(clients):
                try:
                    c.send(os.urandom(i * 97) if i % 2 else b"GET / HTTP/1.1\r\nHost: " + os.urandom(i * 31))
                except (BrokenPipeError, ConnectionResetError):
                    pass
            for i, c in enumerate(clients):
                if i % 3:
                    c.vanish()
                else:
                    c.close()
        equal(get(s, "/small.txt").status, 200)
        until("their descriptors are closed", lambda: s.descriptors() <= before)


main()
