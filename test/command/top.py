"""weft top on a terminal of ours, which is changed, closed, or none."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE = 120          # seconds until what we wait for will not come any more
WEFT = os.environ["WEFT_COMMAND"]
failed = False
started = []            # what would go on without us


def wrong(*what):
    global failed
    failed = True
    print("wrong:", *what)


class Top:
    """weft top PID with a terminal of that size."""

    def __init__(self, pid, rows=24, columns=80, term="xterm", args=()):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        env = {k: v for k, v in os.environ.items() if k not in ("TERM", "LINES", "COLUMNS")}
        if term is not None:
            env["TERM"] = term
        self.proc = subprocess.Popen([WEFT, "top", *args, str(pid)], stdin=slave, stdout=slave,
                                     stderr=slave, env=env, start_new_session=True,
                                     preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        started.append(self.proc)
        os.close(slave)
        self.text = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def take(self):
        """What it writes next. False: it has closed the terminal."""
        end = time.monotonic() + PATIENCE
        while not select.select([self.master], [], [], 1)[0]:
            if time.monotonic() > end:
                raise AssertionError(f"it says nothing more after {self.text[-1000:]!r}")
        try:
            part = os.read(self.master, 65536)
        except OSError:         # EIO
            return False
        self.text += part
        return part != b""

    def shows(self, what):
        while what not in self.text:
            if not self.take():
                return wrong(f"{what!r} is not on the terminal:", self.text[-2000:])

    def ends(self, status):
        while self.take():
            pass
        if self.proc.wait(PATIENCE) != status:
            wrong(f"status {self.proc.returncode}, not {status}:", self.text[-1000:])
        os.close(self.master)

    def says(self, key):
        os.write(self.master, key)


def start():
    proc = subprocess.Popen([os.environ["WEFT_STUCK"]], stdout=subprocess.PIPE)
    started.append(proc)
    proc.stdout.readline()
    return proc


def sizes(pid):
    """From nothing at all to more than anybody has."""
    for rows, columns in ((1, 1), (2, 10), (5, 20), (24, 80), (500, 1000)):
        top = Top(pid, rows, columns)
        top.shows(b"\x1b[")
        top.says(b"q")
        top.ends(0)
    top = Top(pid, args=("--delay", "1"))
    top.shows(b"receiver")
    for rows, columns in ((3, 12), (1, 1), (60, 200)):
        top.resize(rows, columns)       # its terminal's foreground process gets SIGWINCH
        top.text = b""
        top.take()
    top.shows(b"receiver")
    top.says(b"xyz\x1b[A")              # means nothing
    top.text = b""
    top.take()
    top.says(b"q")
    top.ends(0)


def terminals(pid):
    for term in ("vt100", "linux", "screen", "dumb"):
        top = Top(pid, term=term)
        top.shows(b"goroutines")
        top.says(b"q")
        top.ends(0)
    for term in (None, "", "nonesuch"):
        top = Top(pid, term=term)
        top.shows(b"can't use this terminal")
        top.ends(4)
        if b"\x1b" in top.text:
            wrong("it writes to a terminal that it does not know", top.text)
    top = Top(pid)                      # the terminal goes away
    top.shows(b"receiver")
    os.close(top.master)
    if top.proc.wait(PATIENCE) not in (0, -signal.SIGHUP):
        wrong("without its terminal:", top.proc.returncode)
    top = Top(pid)
    top.shows(b"receiver")
    top.says(b"\x03")                   # the terminal makes SIGINT of it
    if top.proc.wait(PATIENCE) not in (0, 1, -signal.SIGINT):
        wrong("after ^C:", top.proc.returncode)
    top.ends(top.proc.returncode)
    if b"\x1b[?1049l" not in top.text:
        wrong("the terminal is not as it was", top.text[-200:])


def no_terminal(pid):
    """Once, as text: to a file, and without a keyboard."""
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        said = subprocess.run([WEFT, "top", str(pid)], stdin=stdin, capture_output=True,
                              timeout=PATIENCE, check=False)
        if said.returncode != 0 or b"receiver" not in said.stdout or b"\x1b" in said.stdout:
            wrong("as text:", said)
    full = subprocess.run(f"{WEFT} top --once {pid} >/dev/full", shell=True, capture_output=True,
                          timeout=PATIENCE, check=False)
    if full.returncode == 0:
        wrong("a full disk is not told")


def processes():
    """Those that end, and those that are not for us."""
    proc = start()
    top = Top(proc.pid)
    top.shows(b"receiver")
    proc.kill()
    proc.wait()
    top.shows(b"has ended")
    top.ends(3)
    plain = subprocess.Popen(["sleep", "600"])
    started.append(plain)
    top = Top(plain.pid)
    top.shows(b"weft top: ")
    top.ends(3)
    plain.kill()
    plain.wait()
    if os.getuid() == 0:
        proc = start()
        said = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", WEFT, "top", str(proc.pid)],
                              capture_output=True, timeout=PATIENCE, check=False)
        if said.returncode != 3 or b"ermission" not in said.stderr + said.stdout:
            wrong("another user's process:", said)
        proc.kill()
        proc.wait()


def main():
    proc = start()
    for case in (sizes, terminals, no_terminal):
        case(proc.pid)
    proc.kill()
    proc.wait()
    processes()


try:
    main()
finally:
    for left in started:
        left.kill()             # none that has been waited for
sys.exit(failed)
