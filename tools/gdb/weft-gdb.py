"""Goroutines in gdb, of a process that runs or of its core file.

    info goroutines           one line each: * runs on a thread, state, where it stands
    goroutine N COMMAND       any command, as `bt` or `frame 3`, in goroutine N
    goroutine all COMMAND     in each, one after the other
    info channels             channels on which goroutines wait, and who
    info ps                   processors: their queues, and the threads that hold them
    $goroutine()              the number of the one that runs on the selected thread, or 0

Values of type weft_mutex, weft_waitgroup, weft_sem, weft_once and weft_chan * say what they are.

All it knows of the library is in weft_debug_layout (weft/debug.h), so neither debug information
nor a certain version of the library is needed. A goroutine that does not run has its registers in
its record: an unwinder puts that frame below the frame that the selected thread stands in, as if
it had been called from there. gdb's own walk does the rest, so live processes and core files,
which have no registers to be written, are alike. Loaded by itself if weft is installed where gdb
looks; else by `source`.
"""
import itertools
import os
import re

import gdb
import gdb.printing
import gdb.unwinder

LAYOUT_VERSION = 1
FIELD_BYTES = 32
STACK_WORDS = 1024      # how much of a stack is searched for a channel that is waited for
MALLOC_ALIGN = 16       # on both processors: where a channel can begin


class Layout:
    """The table of the library, and what it leads to. Read anew for each command."""

    def __init__(self):
        try:
            at = int(gdb.parse_and_eval("(unsigned long)&weft_debug_layout"))
        except gdb.error:
            raise gdb.GdbError("No weft here: there is no symbol weft_debug_layout.") from None
        self.inferior = gdb.selected_inferior()
        if bytes(self.read(at, 7)) != b"weftdbg":
            raise gdb.GdbError("weft_debug_layout is not what it should be.")
        version = self.number(at + 8, 4)
        if version != LAYOUT_VERSION:
            raise gdb.GdbError(f"This is weft's layout {version}; this script knows "
                               f"{LAYOUT_VERSION}.")
        end = at + self.number(at + 12, 4)
        self.n_reasons = self.number(at + 16)
        self.sched = self.number(at + 24)
        self.chunks = self.number(at + 32)
        self.reasons = self.number(at + 40)
        self.entry = self.number(at + 48)
        self.fields = {}
        for field in range(at + 56, end, FIELD_BYTES):
            name = bytes(self.read(field, 24)).split(b"\0")[0].decode()
            if not name:
                break
            self.fields[name] = (self.number(field + 24, 4), self.number(field + 28, 4))

    def read(self, at, size):
        return self.inferior.read_memory(at, size)

    def number(self, at, size=8):
        return int.from_bytes(bytes(self.read(at, size)), "little")

    def value(self, name):
        return self.fields[name][0]

    def get(self, base, name):
        offset, size = self.fields[name]
        return self.number(base + offset, size)

    def address(self, base, name):
        return base + self.value(name)

    def text(self, at, most=64):
        """The string there; as much of it as is mapped."""
        said = b""
        while len(said) < most:
            try:
                byte = bytes(self.read(at + len(said), 1))
            except gdb.MemoryError:
                break
            if byte == b"\0":
                break
            said += byte
        return said.decode(errors="replace")


def word(text):
    """Of a label, as in dumps: what is not plain stands in quotes."""
    if re.fullmatch("[0-9A-Za-z./_]+", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


class Goroutine:
    def __init__(self, layout, at, record):
        self.layout = layout
        self.at = at
        self.record = record
        self.id = self.get("id")
        self.status = self.get("status")

    def get(self, name):
        offset, size = self.layout.fields["g." + name]
        return int.from_bytes(self.record[offset:offset + size], "little")

    @property
    def runs(self):
        return self.status in (self.layout.value("status.RUNNING"),
                               self.layout.value("status.SYSCALL"))

    @property
    def has_begun(self):
        return self.get("pc") > 1

    def function(self):
        """The user's: what the library runs around it has its address in its argument."""
        if self.get("flags") & self.layout.value("flag.WRAPPED"):
            return self.layout.number(self.get("arg"))
        return self.get("fn")

    def state(self):
        layout = self.layout
        if self.status == layout.value("status.RUNNABLE"):
            return "runnable"
        if self.status == layout.value("status.SYSCALL"):
            return "syscall"
        if self.status == layout.value("status.WAITING"):
            reason = self.get("reason")
            if reason < layout.n_reasons:
                name = layout.number(layout.reasons + 8 * reason)
                if name:
                    return layout.text(name)
            return "waiting"
        m = self.get("m")
        if m and layout.get(m, "m.in_syscall"):
            return "syscall"
        if m and layout.get(m, "m.detached"):
            return "running, detached"
        return "running"

    def age(self):
        """Since when it has waited, by the runtime's own clock: as good as that is."""
        now = self.layout.get(self.layout.sched, "sched.now")
        return max(0, now - self.get("since")) if self.get("since") else 0

    def name(self):
        at = self.get("name")
        return self.layout.text(at, 32) if at else ""

    def labels(self):
        """{key: value}, in the order of the library."""
        at = self.get("name")       # One pointer: a name, and beside it labels; or labels.
        if "tags.labels" not in self.layout.fields:
            return {}
        try:
            if at and self.layout.number(at, 1):
                at = self.layout.get(at, "tags.labels")
            if not at or not self.layout.get(at, "tags.n"):
                return {}
            size = self.layout.get(at, "tags.bytes")
            text = bytes(self.layout.read(self.layout.address(at, "tags.text"), size))
        except gdb.MemoryError:
            return {}
        words = text.decode(errors="replace").split("\0")[:-1]
        return dict(zip(words[::2], words[1::2]))

    def tid(self):
        m = self.get("m")
        return self.layout.get(m, "m.tid") if self.runs and m else 0

    def thread(self):
        tid = self.tid()
        for thread in gdb.selected_inferior().threads():
            if tid and thread.ptid[1] == tid:
                return thread
        return None

    def title(self):
        parts = [self.state()]
        seconds = self.age() // 10**9
        if self.status == self.layout.value("status.WAITING") and seconds >= 1:
            parts.append(f"{seconds // 60} minutes" if seconds >= 60 else f"{seconds} seconds")
        if self.tid():
            parts.append(f"thread {self.tid()}")
        if self.get("locked"):
            parts.append("locked to thread")
        name = f' "{self.name()}"' if self.name() else ""
        labels = ", ".join(f"{word(key)}: {word(value)}" for key, value in self.labels().items())
        return (f"goroutine {self.id}{name} [{', '.join(parts)}]" +
                (f" {{{labels}}}" if labels else ""))


def goroutines(layout):
    """All that live, by number."""
    found = []
    size = layout.value("g")
    id_at, id_size = layout.fields["g.id"]
    status_at = layout.value("g.status")

    def add(at, record):
        if record[status_at] and any(record[id_at:id_at + id_size]):
            found.append(Goroutine(layout, at, bytes(record)))

    m = layout.get(layout.sched, "sched.m")
    while m:
        at = layout.address(m, "m.bound")
        add(at, bytes(layout.read(at, size)))
        m = layout.get(m, "m.next")
    chunk = layout.number(layout.chunks)
    count = layout.value("chunk.n")
    while chunk:
        first = layout.get(chunk, "chunk.g")
        try:
            slab = bytes(layout.read(first, count * size))
        except gdb.MemoryError:     # A core file may lack what was never written.
            slab = b""
        for i in range(len(slab) // size):
            add(first + i * size, slab[i * size:(i + 1) * size])
        chunk = layout.get(chunk, "chunk.next")
    return sorted(found, key=lambda g: g.id)


# ---- the walk ----

def registers():
    arch = gdb.selected_inferior().architecture().name()
    if arch.startswith("aarch64"):
        return {"pc": "pc", "sp": "sp", "fp": "x29"}
    return {"pc": "rip", "sp": "rsp", "fp": "rbp"}


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Unwinder(gdb.unwinder.Unwinder):
    """While a goroutine is chosen, the frame that the thread stands in was called from it."""

    def __init__(self):
        super().__init__("weft goroutines")
        self.chosen = None
        self.top = None
        self.names = None

    def choose(self, goroutine):
        """Returns the goroutine's innermost frame."""
        self.chosen = None
        gdb.invalidate_cached_frames()
        if goroutine is None:
            return None
        newest = gdb.newest_frame()
        self.names = registers()
        self.top = tuple(int(newest.read_register(self.names[r])) for r in ("sp", "pc"))
        self.chosen = goroutine
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        while frame is not None and frame.pc() != goroutine.get("pc"):
            frame = frame.older()
        return frame

    def __call__(self, pending):
        if self.chosen is None:
            return None
        names = self.names
        sp, pc = (pending.read_register(names[r]) for r in ("sp", "pc"))
        if (int(sp), int(pc)) != self.top:
            return None
        # gdb ends a walk that goes down the stack: the thread's frame passes for one below.
        kind = sp.type
        below = gdb.Value(self.chosen.get("sp") - 16).cast(kind)
        info = pending.create_unwind_info(FrameId(below, pc))
        for register in ("pc", "sp", "fp"):
            kind = pending.read_register(names[register]).type
            info.add_saved_register(names[register],
                                    gdb.Value(self.chosen.get(register)).cast(kind))
        return info


class Filter:
    """Leaves the thread's own frames out of the backtrace of a chosen goroutine."""

    def __init__(self):
        self.name = "weft goroutines"
        self.priority = 1000
        self.enabled = True
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        if UNWINDER.chosen is None:
            return frames
        start = UNWINDER.chosen.get("pc")
        return itertools.dropwhile(lambda f: f.inferior_frame().pc() != start, frames)


UNWINDER = Unwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
Filter()


class Walk:
    """Chooses a goroutine that does not run for as long as the block lasts."""

    def __init__(self, goroutine):
        self.goroutine = goroutine

    def __enter__(self):
        self.past_main = gdb.parameter("backtrace past-main")
        gdb.execute("set backtrace past-main on", to_string=True)
        return UNWINDER.choose(self.goroutine)

    def __exit__(self, *what):
        UNWINDER.choose(None)
        if not self.past_main:
            gdb.execute("set backtrace past-main off", to_string=True)


def in_goroutine(goroutine, command):
    """Runs the command as if the goroutine had just been interrupted."""
    before = gdb.selected_thread()
    level = gdb.selected_frame().level()
    if goroutine.runs:
        thread = goroutine.thread()
        if thread is None:
            print("Its thread is not here: its stack can't be shown.")
            return
        thread.switch()
        try:
            gdb.execute(command)
        finally:
            before.switch()
            gdb.execute(f"frame {level}", to_string=True)
    elif not goroutine.has_begun:
        print(f"#0  {where(goroutine.function())}, which has not begun yet")
    else:
        try:
            with Walk(goroutine) as frame:
                if frame is None:
                    print("Its stack can't be walked.")
                    return
                frame.select()
                gdb.execute(command)
        finally:
            gdb.execute(f"frame {level}", to_string=True)


def where(pc):
    """Function, file and line."""
    block = gdb.execute(f"info symbol {pc:#x}", to_string=True).strip()
    name = "??" if block.startswith("No symbol") else block.split(" ")[0]
    line = gdb.find_pc_line(pc)
    if line.symtab is not None and line.line:
        return f"{name} at {line.symtab.filename}:{line.line}"
    return name


def first_user_frame(goroutine):
    """Where the goroutine called weft, or stands itself."""
    if goroutine.runs:
        thread = goroutine.thread()
        if thread is None:
            return "?"
        before = gdb.selected_thread()
        thread.switch()
        try:
            return caller_of_weft(interrupted(gdb.newest_frame()))
        finally:
            before.switch()
    if not goroutine.has_begun:
        return where(goroutine.function())
    with Walk(goroutine) as frame:
        return caller_of_weft(frame) if frame is not None else "?"


def interrupted(frame):
    """In a handler: the frame that the signal came upon, or who called abort() or raise() there."""
    for handler in itertools.islice(older_frames(frame), 64):
        if handler.type() == gdb.SIGTRAMP_FRAME:
            below = handler.older()
            return next((f for f in older_frames(below) if not is_in_libc(f)), below or frame)
    return frame


def is_in_libc(frame):
    return os.path.basename(gdb.solib_name(frame.pc()) or "").startswith("libc.so")


def older_frames(frame):
    """It, and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.older()


def caller_of_weft(frame):
    """The frame that called the library's outermost function: below it all is the user's."""
    shown, best = 0, frame
    while frame is not None and shown < 32:
        name = frame.name() or ""
        if name.startswith("weft_"):
            best = frame.older() or frame
            break
        frame = frame.older()
        shown += 1
    sal = best.find_sal()
    name = best.name() or "??"
    if sal.symtab is not None:
        return f"{name} at {sal.symtab.filename}:{sal.line}"
    return name


# ---- channels ----

def waited_channel(layout, goroutine):
    """The channels that a waiting goroutine is queued at, found by what its stack holds: places
    in queues carry its own address and the ticket of its wait, and whoever waits keeps a pointer
    to the channel, whose queue begins with the first of these places."""
    sp, hi = goroutine.get("sp"), goroutine.get("hi")
    size = min(hi - sp, 8 * STACK_WORDS)
    if size <= 0:
        return set()
    try:
        stack = bytes(layout.read(sp, size))
    except gdb.MemoryError:
        return set()
    words = [int.from_bytes(stack[i:i + 8], "little") for i in range(0, size - 7, 8)]
    g_at, ticket_at = layout.value("waiter.g") // 8, layout.value("waiter.ticket") // 8
    heads = set()
    for i in range(len(words) - ticket_at):
        if words[i + g_at] == goroutine.at and words[i + ticket_at] == goroutine.get("wait"):
            heads.add(head_of(layout, sp + 8 * i))
    heads.discard(None)
    found = set()
    for word in set(words):
        if word < 4096 or word % MALLOC_ALIGN or sp <= word < hi:
            continue
        for queue in ("chan.recvq", "chan.sendq"):
            try:
                if layout.get(word, queue) in heads and is_channel(layout, word):
                    found.add(word)
            except gdb.MemoryError:
                break
    return found


def head_of(layout, waiter):
    """The first place of the queue, or None: what is there only looks like a place. (The same two
    words stand beside each other in frames of the runtime, and in what frames have left.)"""
    try:
        for _ in range(100000):
            before = layout.get(waiter, "waiter.prev")
            if not before:
                return waiter
            if layout.get(before, "waiter.next") != waiter:
                return None
            waiter = before
    except gdb.MemoryError:
        pass
    return None


def waiters(layout, channel, queue):
    """The numbers of the goroutines in it, oldest first."""
    at, numbers = layout.get(channel, queue), []
    while at and len(numbers) < 1000:
        numbers.append(layout.get(layout.get(at, "waiter.g"), "g.id"))
        at = layout.get(at, "waiter.next")
    return numbers


def is_channel(layout, at):
    """What only looks like one, among what frames have left, leads to where nothing is."""
    for queue in ("chan.recvq", "chan.sendq"):
        waiters(layout, at, queue)      # or MemoryError
    return layout.get(at, "chan.len") <= layout.get(at, "chan.cap")


def channel_text(layout, at):
    closed = ", closed" if layout.get(at, "chan.closed") else ""
    text = (f"{layout.get(at, 'chan.len')} of {layout.get(at, 'chan.cap')} elements of "
            f"{layout.get(at, 'chan.elem')} bytes{closed}")
    for queue, verb in (("chan.recvq", "receive"), ("chan.sendq", "send")):
        numbers = waiters(layout, at, queue)
        if numbers:
            more = "" if len(numbers) <= 8 else f" and {len(numbers) - 8} more"
            who = "goroutine" if len(numbers) == 1 else "goroutines"
            wait = "waits" if len(numbers) == 1 else "wait"
            text += f", {who} {', '.join(map(str, numbers[:8]))}{more} {wait} to {verb}"
    return text


# ---- commands ----

class InfoGoroutines(gdb.Command):
    """List the goroutines: number, state and for how long, and where it called weft."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for goroutine in goroutines(Layout()):
            mark = "*" if goroutine.runs else " "
            print(f"{mark} {goroutine.title()} {first_user_frame(goroutine)}")


class InfoChannels(gdb.Command):
    """List the channels on which goroutines wait: how full, and who waits."""

    def __init__(self):
        super().__init__("info channels", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        layout = Layout()
        found = set()
        for goroutine in goroutines(layout):
            if goroutine.status == layout.value("status.WAITING"):
                found |= waited_channel(layout, goroutine)
        for at in sorted(found):
            print(f"{at:#x}  {channel_text(layout, at)}")
        if not found:
            print("No goroutine waits for a channel.")


class InfoPs(gdb.Command):
    """List the processors: status, queue, timers, and the thread that holds each."""

    def __init__(self):
        super().__init__("info ps", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        layout = Layout()
        sched = layout.sched
        print(f"procs={layout.get(sched, 'sched.procs')} "
              f"idle={layout.get(sched, 'sched.idle_p')} "
              f"spinning={layout.get(sched, 'sched.spinning')} "
              f"detached={layout.get(sched, 'sched.detached')} "
              f"queued={layout.get(sched, 'sched.queued')}")
        for i in range(layout.get(sched, "sched.n_p")):
            p = layout.number(layout.address(sched, "sched.p") + 8 * i)
            queued = (layout.get(p, "p.tail") - layout.get(p, "p.head")) % 2**32
            status = {layout.value("p_status.IDLE"): "idle",
                      layout.value("p_status.RUNNING"): "running"}
            line = (f"P{layout.get(p, 'p.id')} {status.get(layout.get(p, 'p.status'), 'dead')} "
                    f"queue={queued}{' +next' if layout.get(p, 'p.next') else ''} "
                    f"timers={layout.get(p, 'p.timers')} picks={layout.get(p, 'p.picks')} "
                    f"steals={layout.get(p, 'p.steals')}")
            m = layout.get(p, "p.m")
            if m:
                g = layout.get(m, "m.g")
                line += f" thread={layout.get(m, 'm.tid')}"
                line += f" goroutine={layout.get(g, 'g.id')}" if g else ""
            print(line)


class GoroutineCommand(gdb.Command):
    """goroutine N COMMAND, goroutine all COMMAND: run COMMAND in one goroutine, or in each."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        which, _, command = argument.strip().partition(" ")
        if not which or not command.strip():
            raise gdb.GdbError("Usage: goroutine N|all COMMAND")
        layout = Layout()
        everyone = goroutines(layout)
        if which == "all":
            for goroutine in everyone:
                print(f"\n{goroutine.title()}:")
                in_goroutine(goroutine, command)
            return
        if not which.isdigit():
            which = str(int(gdb.parse_and_eval(which)))
        for goroutine in everyone:
            if goroutine.id == int(which):
                print(f"{goroutine.title()}:")
                in_goroutine(goroutine, command)
                return
        raise gdb.GdbError(f"There is no goroutine {which}.")


class CurrentGoroutine(gdb.Function):
    """The number of the goroutine that runs on the selected thread; 0 if none does."""

    def __init__(self):
        super().__init__("goroutine")

    def invoke(self):
        thread = gdb.selected_thread()
        if thread is not None:
            for goroutine in goroutines(Layout()):
                if goroutine.runs and goroutine.tid() == thread.ptid[1]:
                    return goroutine.id
        return 0


# ---- values ----

class MutexPrinter:
    def __init__(self, value):
        self.at = int(value.address) if value.address is not None else 0
        self.state = int(value["weft_priv"][0]) & 0xffffffff
        self.waits = int(value["weft_priv"][1]) != 0

    def to_string(self):
        layout = Layout()
        words = ["locked" if self.state & layout.value("mutex.LOCKED") else "unlocked"]
        if self.state & layout.value("mutex.STARVING"):
            words.append("starving")
        if self.waits:
            words.append("waited for")
        return f"weft_mutex({', '.join(words)})"


class WaitgroupPrinter:
    def __init__(self, value):
        self.counter = (int(value["weft_priv"][0]) & 0xffffffff) >> 2
        head = int(value["weft_priv"][1])
        if head & 1:  # A processor keeps it, and counts there, or in the record of who waits.
            self.counter += Layout().get(head - 3, "waiter.n") if head & 2 else head >> 2

    def to_string(self):
        return f"weft_waitgroup({self.counter})"


class SemPrinter:
    def __init__(self, value):
        self.left = int(value["weft_priv"][0]) >> 1
        self.all = int(value["weft_priv"][1])

    def to_string(self):
        return f"weft_sem({self.left} of {self.all} permits)"


class OncePrinter:
    def __init__(self, value):
        self.state = int(value["weft_priv"][0]) & 0xffffffff

    def to_string(self):
        return f"weft_once({['not done', 'running', 'done'][min(self.state, 2)]})"


class ChanPrinter:
    def __init__(self, value):
        self.at = int(value)

    def to_string(self):
        if self.at == 0:
            return "weft_chan(nil)"
        return f"({self.at:#x}) weft_chan({channel_text(Layout(), self.at)})"


class Printers(gdb.printing.PrettyPrinter):
    def __init__(self):
        super().__init__("weft")

    def __call__(self, value):
        return printer_of(value)


def printer_of(value):
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_PTR:
        if kind.target().strip_typedefs().tag == "weft_chan":
            return ChanPrinter(value)
        return None
    printers = {"weft_mutex": MutexPrinter, "weft_waitgroup": WaitgroupPrinter,
                "weft_sem": SemPrinter, "weft_once": OncePrinter}
    if kind.code == gdb.TYPE_CODE_STRUCT and kind.tag in printers:
        return printers[kind.tag](value)
    return None


gdb.printing.register_pretty_printer(None, Printers(), replace=True)

InfoGoroutines()
InfoChannels()
InfoPs()
GoroutineCommand()
CurrentGoroutine()
