#!/usr/bin/env bash
# The server of examples/drain.c is stopped while a client is half done: it lets nobody else in,
# serves that client, and ends with status 0; after its limit it cuts the client off, and a second
# signal ends it at once. If it fails, who stops a server as docs/stopping.md says loses requests.
set -eu
exec timeout 300 python3 - "$WEFT_BUILD/examples/drain" <<'PY'
import signal, socket, subprocess, sys, time


def start(seconds):
    p = subprocess.Popen([sys.argv[1], "127.0.0.1:0", seconds], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    return p, int(p.stdout.readline().rsplit(" ", 1)[1])


def client(port):
    c = socket.create_connection(("127.0.0.1", port), 120)
    c.sendall(b"12345")
    return c


def until_closed(port):
    """Whoever gets in before the door is closed leaves again, and is served."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 120).close()
        except ConnectionRefusedError:
            return
        except ConnectionError:  # it was in the queue when the door closed
            pass
        time.sleep(0.01)


def rest(c):
    data = b""
    while piece := c.recv(100):
        data += piece
    return data


def end(p, status):
    said = p.communicate(timeout=120)[1]
    assert p.returncode == status, (p.returncode, status, said)
    return said


for sig in signal.SIGTERM, signal.SIGINT:
    p, port = start("100")
    done, half, queued = client(port), client(port), client(port)
    done.shutdown(socket.SHUT_WR)
    assert rest(done) == b"5 bytes\n"
    p.send_signal(sig)
    until_closed(port)
    for c in half, queued:
        c.sendall(b"67")
        c.shutdown(socket.SHUT_WR)
        assert rest(c) == b"7 bytes\n"
    said = end(p, 0)
    assert "stopping" in said and "cut off" not in said, said

# Who says no more, and who never ends: both are cut off.
p, port = start("0.2")
silent, busy = client(port), client(port)
p.send_signal(signal.SIGTERM)
try:
    while True:
        busy.sendall(b"x" * 100000)
except OSError:
    pass
try:
    assert rest(silent) == b""
except ConnectionResetError:
    pass
assert "cut off" in end(p, 1)

p, port = start("1000")
held = client(port)
p.send_signal(signal.SIGTERM)
until_closed(port)
p.send_signal(signal.SIGTERM)
end(p, -signal.SIGTERM)

# Nobody there: it ends by itself.
p, port = start("1000")
p.send_signal(signal.SIGINT)
end(p, 0)
PY
