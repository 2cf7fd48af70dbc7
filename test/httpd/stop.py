"""Stopping: nothing that was accepted is lost, and nobody waits longer than he must."""
import os
import signal
import socket
import threading
import time

from httpd import SCALE, Client, Server, equal, get, main, make_tree, until

ROOT, FILES = make_tree()
CLEAN = [ROOT]


class Load:
    """
    Clients that ask until the server is gone. A client may find the port closed, or its
    connection closed after an answer that said so. Everything else is a loss: a request
    sent on an open connection that was never or not wholly answered.

    But a client that was held up for so long that the server may call its connection idle
    (half a second) meets a connection closed without a word: that is HTTP, not a loss.
    """

    IDLE = 0.4

    def __init__(self, server, clients, keep_alive, path="/page.html"):
        self.server, self.keep_alive, self.path = server, keep_alive, path
        self.want = FILES[path[1:]]
        self.done = self.lost = 0
        self.notes = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def one_connection(self):
        c = Client(self.server)
        started = time.monotonic()
        try:
            while True:
                held_up = time.monotonic() - started > self.IDLE
                started = time.monotonic()
                try:
                    a = c.get(self.path)
                except ConnectionError:
                    if not held_up:
                        raise
                    return
                with self.lock:
                    if a is None and held_up:
                        return
                    if a is None or a.status != 200 or a.body != self.want:
                        self.lost += 1
                        self.notes.append("no answer" if a is None else f"{a.status}")
                        return
                    self.done += 1
                if not self.keep_alive or a["connection"] == "close":
                    return
        finally:
            c.close()

    def run(self):
        while True:
            try:
                self.one_connection()
            except ConnectionRefusedError:
                return
            except (OSError, AssertionError) as e:
                with self.lock:
                    self.lost += 1
                    self.notes.append(repr(e))
                return

    def join(self):
        for t in self.threads:
            t.join(60)
            equal(t.is_alive(), False, "a client waits for ever")


def stop_under_load(keep_alive, sig, rounds, path="/page.html", clients=30, enough=100):
    for i in range(rounds):
        s = Server(ROOT)
        load = Load(s, clients, keep_alive, path)
        until("the load is on", lambda: load.done >= enough)
        time.sleep(0.01 * i)
        equal(s.stop(sig), 0, s.stderr())
        load.join()
        equal((load.lost, load.notes[:5]), (0, []), f"round {i}: lost of {load.done}")


def test_nothing_is_lost_keep_alive():
    """A rolling restart must not be seen by those who are being served."""
    stop_under_load(True, signal.SIGTERM, 5)


def test_nothing_is_lost_new_connections():
    """Clients that have connected and wait to be accepted are in, too."""
    stop_under_load(False, signal.SIGINT, 5)


def test_nothing_is_lost_large_files():
    """Half a download is no download."""
    stop_under_load(True, signal.SIGTERM, 1, "/big.bin", clients=4, enough=3)


def test_idle_connections_close_at_once():
    """Keep-alive must not hold a stop until its timeout."""
    with Server(ROOT) as s:
        idle = [Client(s) for _ in range(50)]
        for c in idle:
            equal(c.get("/small.txt").status, 200)
        silent = [Client(s) for _ in range(10)]
        time.sleep(1.2)
        started = time.monotonic()
        equal(s.stop(), 0)
        took = time.monotonic() - started
        equal(took < 1 * SCALE, True, f"{took:.2f} s")
        for c in idle + silent:
            equal(c.ended(), True)
            c.close()


def test_requests_in_flight_are_finished():
    """An upload of a request, a download and a pipeline that have begun are ended in order."""
    with Server(ROOT) as s:
        half, download, pipeline = Client(s), Client(s), Client(s)
        half.send("GET /small.txt HTTP/1.1\r\n")
        download.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        pipeline.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n" * 3)
        download.fill()
        pipeline.fill()
        time.sleep(0.1)
        s.proc.send_signal(signal.SIGTERM)
        until("it refuses new clients", lambda: refuses(s.port))
        equal(s.alive(), True)
        half.send("Host: t\r\n\r\n")
        a = half.answer()
        equal((a.status, a["connection"], half.ended()), (200, "close", True))
        equal(download.answer().body == FILES["big.bin"], True)
        answers = [pipeline.answer() for _ in range(3)]
        equal([a.body == FILES["big.bin"] for a in answers], [True] * 3)
        equal((answers[-1]["connection"], pipeline.ended()), ("close", True))
        for c in (half, download, pipeline):
            c.close()
        equal(s.wait(), 0)


def refuses(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def test_second_signal():
    """Who sends a second signal does not want to wait."""
    with Server(ROOT, expect=128 + signal.SIGTERM) as s:
        c = Client(s)
        c.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n" * 8)
        c.fill()
        s.proc.send_signal(signal.SIGINT)
        until("it is stopping", lambda: refuses(s.port))
        equal(s.alive(), True, "it waits for the download")
        started = time.monotonic()
        equal(s.stop(signal.SIGTERM), 128 + signal.SIGTERM)
        equal(time.monotonic() - started < 1 * SCALE, True)
        c.close()


def test_stop_timeout():
    """A client that never takes its bytes must not keep a server from ending."""
    with Server(ROOT, "--stop-timeout=0.5", expect=1) as s:
        c = Client(s)
        c.send("GET /big.bin HTTP/1.1\r\nHost: t\r\n\r\n" * 8)
        c.fill()
        equal(s.stop(), 1)
        equal("cut off 1 connections" in s.stderr(), True, s.stderr())
        c.close()


def test_stop_while_descriptors_are_short():
    """The way out must be open when the house is full."""
    with Server(ROOT, prefix=("prlimit", "--nofile=40:40")) as s:
        held = [Client(s) for _ in range(60)]
        time.sleep(0.2)
        equal(s.stop(), 0, s.stderr())
        for c in held:
            c.close()


def test_what_it_says():
    """An operator reads the last lines to see whether all went well."""
    with Server(ROOT, quiet=False) as s:
        get(s, "/small.txt")
        equal(s.stop(), 0)
        equal(s.stderr().startswith("weft-httpd: SIGTERM, stopping: "), True, s.stderr())
        equal(s.stderr().endswith("weft-httpd: stopped after 1 requests\n"), True, s.stderr())


main()
