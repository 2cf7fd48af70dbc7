"""
Runs the server of docs/observe.md under 30 clients, asks it all that the page asks, and compares: what
a command must show stands here once, and both the page and the server have to show it; and each line
that the page shows must be like one that the server shows. With the argument "print" it shows what
was said, for the page.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

SRC, BUILD = os.environ["WEFT_SRC"], os.environ["WEFT_BUILD"]
WEFT = BUILD + "/bin/weft"
PATIENCE = 120
PAGE = open(SRC + "/docs/observe.md").read()
failed = False

STACK = [r"goroutine \d+ \[sync\.Mutex\.Lock(, \d+ seconds)?, \"serve\"\]:", r"weft_mutex_lock\(\.\.\.\)",
         r"\S*mutex\.c:\d+ \+0x[0-9a-f]+", r"write_log\(\.\.\.\)", r"\S*slow\.c:\d+ \+0x[0-9a-f]+",
         r"serve\(\.\.\.\)", r"\S*slow\.c:\d+ \+0x[0-9a-f]+", r"created by main in goroutine 1"]
# What a part of the page begins with, and lines that follow each other in it.
SHOWN = {
    "weft symbolize lints": [
        r"weft: lint: goroutine \d+ has been blocked for 10 ms in clock_nanosleep\(\), and weft was not told",
        r"\[use weft's own call for it, or weft_blocking\(\), or put weft_syscall_enter\(\) and .*\]",
        r"", r"goroutine \d+ \[running, \"serve\"\]:"],
    "weft run --procs 2 --schedtrace": [
        r"SCHED \d+ms: gomaxprocs=2 idleprocs=\d threads=\d+ spinningthreads=\d needspinning=\d "
        r"idlethreads=\d+ runqueue=\d+ \[\d+ \d+\] schedticks=\[\d+ \d+\] "
        r"detached=\d+ detachblocked=\d+ detachcomputing=\d+ handoffs=\d+"],
    "weft stacks": STACK,
    "curl -s --unix-socket /run/slow.sock http://localhost/debug/weft": [
        r'{"function":"serve","state":"sync.Mutex.Lock","count":[23]\d,"oldest":\d+,"oldest_ns":\d+}'],
    "curl -s --unix-socket /run/slow.sock http://localhost/metrics": [
        r"go_sched_goroutines_goroutines 3\d"],
    "weft symbolize --go crash.txt": [
        r"[23]\d: sync\.Mutex\.Lock \[Created by \.main in goroutine 1 @ slow\.c:\d+\]",
        r"mutex\.c:\d+ +weft_mutex_lock\(\.\.\.\)", r"slow\.c:\d+ +write_log\(\.\.\.\)",
        r"slow\.c:\d+ +serve\(\.\.\.\)"],
    "go tool trace -pprof=sync": [r"\S+s +[0-9.]+% +[0-9.]+% +\S+s +[0-9.]+%  weft_mutex_lock"],
    "gdb": [r"(\* )?goroutine \d+ \"serve\" \[sync\.Mutex\.Lock(, \d+ seconds)?\] write_log at \S*slow\.c:\d+"],
}


def has(text, lines):
    """Are there lines that match, one after the other?"""
    all_lines = [line.strip() for line in text.split("\n")]
    for at in range(len(all_lines) - len(lines) + 1):
        if all(re.fullmatch(want, got) for want, got in zip(lines, all_lines[at:])):
            return True
    return False


# Who holds a processor just then is of the moment; how that is said is not.
PROCESSOR = r"P\d+ (idle|running) queue=\d+ timers=\d+ picks=\d+ steals=\d+( thread=\d+( goroutine=\d+)?)?"


def like(line):
    """What of a line does not depend on the machine: no numbers, no folders, no names of threads."""
    if re.fullmatch(PROCESSOR, line.strip()):
        return "P"
    line = re.sub(r"\S*/(?=[^/\s]+\.c\b)", "", line.strip())
    line = re.sub(r", \d+ (seconds|minutes)|, starving|0x[0-9a-f]+|^\* ", "", line)
    return re.sub(r" +", " ", re.sub(r"[0-9][0-9.]*", "N", line))


def unlike(page, said):
    """Lines of the page that are like none of what was said. (How libc shows depends on whether its
    debug information is there.)"""
    known = {like(line) for line in said.split("\n")}
    lines = (line for line in page.split("\n") if not re.match(r" *(\$ |\(gdb\))", line))
    return [line for line in lines if like(line) not in known and
            "sleep" not in line]


def page_part(command):
    """What the page says below that command, as far as it is indented."""
    start = PAGE.index("    (gdb) info goroutines" if command == "gdb" else "$ " + command)
    return re.split(r"\n\n(?!    )", PAGE[start:])[0]


def compare(command, look):
    """look() asks: again, if all clients stood still just then."""
    global failed
    page = page_part(command)
    said, end = look(), time.monotonic() + PATIENCE
    while time.monotonic() < end and (unlike(page, said) or not has(said, SHOWN[command])):
        said = look()
    if "print" in sys.argv:
        print(f"$ {command}\n{said}\n")
    for line in unlike(page, said):
        failed = True
        print(f"docs/observe.md: {command} does not show a line like", line, "but", said, sep="\n")
    for what, text in (("docs/observe.md", page), ("the server", said)):
        if not has(text, SHOWN[command]):
            failed = True
            print(f"{what}: {command} does not show", *SHOWN[command], "but", text[:3000], sep="\n")


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE, check=False)
    return done.stdout.decode(errors="replace")


def build():
    code = re.findall(r"^```c\n(.*?)^```", PAGE, re.M | re.S)[-1]
    with open("slow.c", "w") as f:
        f.write(code)
    subprocess.run([os.environ["CC"], "-g", "-O1", "-fno-omit-frame-pointer", f"-I{SRC}/include",
                    "-o", "slow", "slow.c", BUILD + "/libweft.a", "-pthread"], check=True)


class Server:
    """Under 30 clients, one of whom it answers at a time."""

    all = []

    def __init__(self, *options):
        self.all.append(self)
        self.err = open("said", "w+b")
        for _ in range(20):     # until nobody else has taken the port
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.port = s.getsockname()[1]
            self.proc = subprocess.Popen([WEFT, "run", "--procs", "2", *options, "--", "./slow",
                                          f"127.0.0.1:{self.port}"], stderr=self.err)
            self.until(self.is_up, "a server that listens, or has ended")
            if self.proc.poll() is None:
                break
        else:
            raise AssertionError(f"it never starts: {self.said()}")
        for _ in range(30):
            threading.Thread(target=self.client, daemon=True).start()

    def is_up(self):
        """... or has ended."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return self.proc.poll() is not None

    def client(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                while True:
                    s.sendall(b"x\n")
                    if not s.recv(64):
                        return
        except OSError:
            pass        # it has ended

    def said(self):
        with open("said", "rb") as f:
            return f.read().decode(errors="replace")

    def until(self, holds, what):
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"never came: {what}; said: {self.said()[-3000:]}")
            time.sleep(0.05)

    def end(self, sig):
        self.proc.send_signal(sig)
        self.proc.wait(PATIENCE)
        self.err.close()


def ask(path):
    return run("curl", "-s", "--max-time", "100", "--unix-socket", "slow.sock", "http://localhost" + path)


def busy():
    """Have all 30 come to the lock, but for the one who has it?"""
    try:
        groups = json.loads(ask("/debug/weft"))["groups"]
    except ValueError:
        return False
    return any(g["function"] == "serve" and g["state"] == "sync.Mutex.Lock" and g["count"] >= 28
               for g in groups)


def groups():
    said = json.loads(ask("/debug/weft"))["groups"]
    return "\n".join(json.dumps(g, separators=(",", ":")) for g in said)


def parsed_crash():
    s = Server("--http", os.getcwd() + "/slow.sock")
    s.until(busy, "30 clients at the lock")
    s.end(signal.SIGQUIT)
    return run("panicparse", "-parse=false", "-rebase=false",
               stdin=run(WEFT, "symbolize", "--go", "said").encode())


def waits_of_trace():
    """What Go's tools make of a trace, one from the endpoint: a file may end amid a generation."""
    go = run(SRC + "/tools/find-go").strip()
    if not go:
        print("no trace was looked at: there is no Go 1.23 or newer; tools/setup ci installs one")
        return
    s = Server("--http", os.getcwd() + "/slow.sock")
    s.until(busy, "30 clients at the lock")
    run("curl", "-s", "--max-time", "100", "--unix-socket", "slow.sock", "-o", "slow.trace",
        "http://localhost/debug/pprof/trace?seconds=2")
    s.end(signal.SIGKILL)
    os.environ.update(HOME=os.getcwd(), PPROF_TMPDIR=os.getcwd(), GOTELEMETRY="off", GOFLAGS="")
    with open("sync.pprof", "wb") as f:
        subprocess.run([go, "tool", "trace", "-pprof=sync", "slow.trace"], stdout=f,
                       timeout=PATIENCE, check=True)
    compare("go tool trace -pprof=sync",
            lambda: run(go, "tool", "pprof", "-symbolize=none", "-top", "sync.pprof"))


def main():
    build()
    s = Server("--http", os.getcwd() + "/slow.sock", "--schedtrace", "100")
    pid = str(s.proc.pid)
    s.until(busy, "30 clients at the lock")
    compare("curl -s --unix-socket /run/slow.sock http://localhost/debug/weft", groups)
    compare("curl -s --unix-socket /run/slow.sock http://localhost/metrics", lambda: ask("/metrics"))
    compare("weft stacks", lambda: run(WEFT, "stacks", pid))
    compare("weft run --procs 2 --schedtrace", s.said)
    gdb = ("gdb", "-nx", "-q", "-batch", "-ex", "set auto-load off", "-ex",
           f"source {SRC}/tools/gdb/weft-gdb.py", "-ex", "info goroutines", "-ex", "info ps",
           "-ex", "print log_lock", "-p", pid)
    if "goroutine" in run(*gdb):
        compare("gdb", lambda: run(*gdb))
    else:
        print("not looked at by gdb, which the system does not let look at processes:", run(*gdb))
    s.end(signal.SIGKILL)
    compare("weft symbolize --go crash.txt", parsed_crash)
    s = Server("--lint")
    s.until(lambda: "in clock_nanosleep()" in s.said() and "created by main" in s.said(), "a lint")
    s.end(signal.SIGKILL)
    compare("weft symbolize lints", lambda: run(WEFT, "symbolize", "said"))
    waits_of_trace()


try:
    main()
finally:
    for server in Server.all:
        server.proc.kill()
sys.exit(failed)
