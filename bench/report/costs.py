#!/usr/bin/env python3
"""
What one operation of a benchmark costs, counted: instructions and locked instructions (callgrind,
per instruction, matched with objdump), system calls (strace -c; of servers and idle processes perf
stat), page faults and switches (perf stat; of these what they say themselves). Counts, not times:
they do not depend on what else the machine does, but for switches, which do a little.

    bench/report/costs.py BENCH_DIR [--functions] [CASE...]

One processor, two in cases that are about two, or as many as the case has, whose threads callgrind
runs one at a time; the atomics of the program and of weft, not those of libc.
--functions also lists where they are.
"""
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

# Case, and the operations of a tenth of it (QUICK=1): a number, or the value that tells it.
CASES = {
    "yield_1p": ("yield", 500_000),
    "spawn_join_1p": ("spawn", 100_000),
    "spawn_join_2p": ("spawn", 100_000),
    "spawn_100k_1p": ("spawn", 300_000),
    "spawn_100k_2p": ("spawn", 300_000),
    "spawn_100k_parked_1p": ("spawn", 200_000),
    "spawn_100k_parked_small_1p": ("spawn", 200_000),
    "pingpong_1p": ("pingpong", 200_000),
    "pingpong_2p": ("pingpong", 200_000),
    "buffered_1to1_1p": ("buffered", 800_000),
    "buffered_4to4_1p": ("buffered", 800_000),
    "buffered_1to1_2p": ("buffered", 800_000),
    "buffered_4to4_2p": ("buffered", 800_000),
    "select_ready_1p": ("select", 300_000),
    "select_blocking_1p": ("select", 200_000),
    "mutex_uncontended_1p": ("mutex", 1_600_000),
    "mutex_8_2p": ("mutex", 1_600_000),
    "timer_create_stop_1p": ("timer", 100_000),
    "timer_create_stop_100k_1p": ("timer", 100_000),
    "timer_1M_sleepers_1p": ("timer", 100_000),
    "timer_1M_sleepers_small_1p": ("timer", 100_000),
    "parked_100k": ("parked", 10_000),
    "parked_small_100k": ("parked", 10_000),
    "parked_1M": ("parked", 100_000),
    "parked_small_1M": ("parked", 100_000),
    "echo_100": ("echo", "answers"),
    "echo_1000": ("echo", "answers"),
    "echo_uring_100": ("echo", "answers"),
    "echo_uring_1000": ("echo", "answers"),
    "http_100": ("http", "answers"),
    "hog_4_sleep_1ms": ("hog", "ticks"),
    "blocking_1000_raw": ("blocking", 100),
    "blocking_1000_marked": ("blocking", 100),
    "idle_10k_parked": ("idle", 1),
    "timer_sleep_1ms_2p": ("timer", 90),
    "skynet_1p": ("skynet", 111_111),
    "skynet_2p": ("skynet", 111_111),
    "fib_1p": ("fib", 75_024),
    "fib_2p": ("fib", 75_024),
    "scaling_round_trip_2p": ("scaling", 200_000),
    "scaling_round_trip_64p": ("scaling", 200_000),
    "scaling_spawn_2p": ("scaling", 198_000),
    "scaling_spawn_64p": ("scaling", 198_000),
    "scaling_mutex_2p": ("scaling", 800_000),
    "scaling_mutex_64p": ("scaling", 800_000),
}

# valgrind searches all stacks at each switch: with 100,000 of them it would take hours.
ONLY_SYSTEM = {"spawn_100k_parked_1p", "spawn_100k_parked_small_1p", "timer_1M_sleepers_1p",
               "timer_1M_sleepers_small_1p", "parked_100k", "parked_small_100k",
               "blocking_1000_raw", "blocking_1000_marked", "skynet_1p", "skynet_2p",
               "hog_4_sleep_1ms", "timer_create_stop_100k_1p", "parked_1M", "parked_small_1M",
               "idle_10k_parked", "timer_sleep_1ms_2p"}
# Under valgrind a thread that waits for its turn does not see that a request of io_uring ended.
URING_SERVERS = {"echo_uring_100", "echo_uring_1000"}
# A server that strace slows down has other batches, and perf stat counts the client, too. Nor are
# there enough answers in a tenth of the time, beside what it costs to start.
SERVERS = {"echo_100", "echo_1000", "http_100"} | URING_SERVERS
# What it does in its last 10 s, of which its start is no part.
IDLE = {"idle_10k_parked"}
IDLE_SECONDS = 10
RESULT_FD = 3


def run(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, **more)


def run_case(command, program, case, **more):
    """Runs the case under the command, with more in its environment. Returns its values."""
    os.ftruncate(RESULT_FD, 0)
    os.lseek(RESULT_FD, 0, os.SEEK_SET)
    env = os.environ | {"QUICK": "0" if case in SERVERS | IDLE else "1",
                        "BENCH_LOAD": os.path.join(os.path.dirname(program), "load/load"),
                        "WEFT_MAXPROCS": processors(case)} | more
    run([*command, program, "--case", case, "weft"], pass_fds=[RESULT_FD], env=env)
    os.lseek(RESULT_FD, 0, os.SEEK_SET)
    return dict(line.split("\t")[::2] for line in os.read(RESULT_FD, 65536).decode().splitlines())


def operations(case, values):
    """What CASES says, or what the case tells."""
    n = CASES[case][1]
    return n if isinstance(n, int) else float(values[n])


def locked_instructions(program):
    """Their addresses in the file. An exchange with memory is locked without saying so."""
    locked = set()
    for line in run(["objdump", "-d", "--no-show-raw-insn", program]).stdout.splitlines():
        parts = line.split("\t")
        if len(parts) < 2:
            continue
        text = parts[1]
        if text.startswith("lock ") or (text.startswith("xchg ") and "(" in text):
            locked.add(int(parts[0].strip(" :"), 16))
    return locked


def symbol_address(program, name):
    for line in run(["nm", program]).stdout.splitlines():
        if line.endswith(" T " + name):
            return int(line.split()[0], 16)
    raise SystemExit(f"{program} has no {name}")


def read_callgrind(path, program):
    """Yields (function, address, executions) for the program's own instructions."""
    names, objects = {}, {}
    function = obj = None
    address = 0
    skip = False

    def name_of(text, table):
        match = re.match(r"\((\d+)\)(?: (.*))?", text)
        if match is None:
            return text
        if match.group(2) is not None:
            table[match.group(1)] = match.group(2)
        return table[match.group(1)]

    for line in open(path):
        if line.startswith("ob="):
            obj = name_of(line[3:].rstrip(), objects)
        elif line.startswith("fn="):
            function = name_of(line[3:].rstrip(), names)
        elif line.startswith("cob="):
            name_of(line[4:].rstrip(), objects)
        elif line.startswith("cfn="):
            name_of(line[4:].rstrip(), names)
        elif line.startswith("calls="):
            skip = True
        elif line[0] in "0123456789+-*":
            position, _, cost = line.split()
            if position[0] in "+-":
                address += int(position, 0)
            elif position[0] != "*":
                address = int(position, 0)
            if not skip and os.path.samefile(obj, program) if os.path.exists(obj or "") else False:
                yield function, address, int(cost)
            skip = False


def processors(case):
    return "2" if case.endswith("_2p") or case in ONLY_SYSTEM and "_1p" not in case else "1"


def count_instructions(program, case):
    """Per function: [instructions, locked ones], an operation."""
    with tempfile.NamedTemporaryFile() as out:
        values = run_case(["valgrind", "--tool=callgrind", "--dump-instr=yes",
                           "--compress-strings=yes", f"--callgrind-out-file={out.name}"],
                          program, case)
        n = operations(case, values)
        rows = list(read_callgrind(out.name, program))
    base = min(a for f, a, _ in rows if f == "main") - symbol_address(program, "main")
    locked = locked_instructions(program)
    counts = collections.defaultdict(lambda: [0, 0])
    for function, address, times in rows:
        counts[function][0] += times / n
        if address - base in locked:
            counts[function][1] += times / n
    return dict(counts)


def count_calls(program, case):
    with tempfile.NamedTemporaryFile(mode="r") as out:
        values = run_case(["strace", "-fcqq", "--detach-on=execve", "-o", out.name], program, case)
        return sum(int(line.split()[3]) for line in out
                   if re.match(r"\s*\d", line) and not line.rstrip().endswith("total")
                   ) / operations(case, values)


def count_events(program, case):
    with tempfile.NamedTemporaryFile(mode="r") as out:
        values = run_case(["perf", "stat", "-x,", "-o", out.name, "-e",
                           "page-faults,context-switches"], program, case)
        n = operations(case, values)
        found = {}
        for line in out:
            cells = line.split(",")
            if len(cells) > 2 and cells[0].isdigit():
                found[cells[2].split(":")[0]] = int(cells[0])
    return found["page-faults"] / n, found["context-switches"] / n


def count_server(program, case):
    """System calls without those of the client; page faults and switches as the server tells."""
    first, second = (sorted(os.sched_getaffinity(0)) * 2)[:2]  # for each its own, as when timed
    with tempfile.NamedTemporaryFile(mode="r") as out:
        values = run_case(["perf", "stat", "-x,", "-o", out.name, "-e", "raw_syscalls:sys_enter",
                           "taskset", "-c", str(first)],
                          program, case, BENCH_CLIENT_CPU=str(second))
        calls = next(int(line.split(",")[0]) for line in out if "sys_enter" in line)
    n = operations(case, values)
    return [v / n for v in (calls - float(values["client_calls"]), float(values["server_faults"]),
                            float(values["server_switches"]))]


def count_idle(program, case):
    """Of its last seconds, without the one in which it ends."""
    with tempfile.NamedTemporaryFile(mode="r") as out:
        values = run_case(["perf", "stat", "-x,", "-I", "1000", "-o", out.name,
                           "-e", "raw_syscalls:sys_enter"], program, case)
        counts = [line.split(",")[1] for line in out if "sys_enter" in line]
    calls = [int(c) if c.isdigit() else 0 for c in counts]  # "<not counted>": nothing ran
    return (sum(calls[-IDLE_SECONDS - 1:-1]), float(values["faults_per_10s"]),
            float(values["switches_per_10s"]))


def count_system(program, case):
    """System calls, page faults, switches of threads: an operation."""
    if case in SERVERS:
        return count_server(program, case)
    if case in IDLE:
        return count_idle(program, case)
    return count_calls(program, case), *count_events(program, case)


def open_values():
    """Each process of ours has a file of its own for what the cases tell."""
    values = os.memfd_create("values")
    if values != RESULT_FD:
        os.dup2(values, RESULT_FD)


def count_all_instructions(programs):
    """{case: its counts}. On all CPUs at once, but for servers, whose client needs one."""
    cases = [case for case in programs if case not in ONLY_SYSTEM | SERVERS]
    with concurrent.futures.ProcessPoolExecutor(initializer=open_values) as pool:
        counts = dict(zip(cases, pool.map(count_instructions, map(programs.get, cases), cases)))
    return counts | {case: count_instructions(programs[case], case)
                     for case in programs if case in SERVERS - URING_SERVERS}


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if not arguments:
        raise SystemExit(__doc__)
    open_values()
    folder = os.path.abspath(arguments[0])
    programs = {case: os.path.join(folder, name) for case, (name, _) in CASES.items()
                if not arguments[1:] or case in arguments[1:]}
    all_counts = count_all_instructions(programs)
    print("| one operation of | instructions | atomics | system calls | page faults "
          "| thread switches |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for case, program in programs.items():
        counts = all_counts.get(case, {})
        total = [sum(c[i] for c in counts.values()) for i in (0, 1)]
        counted = f"{total[0]:.0f} | {total[1]:.2f}" if counts else " | "
        calls, faults, switches = count_system(program, case)
        print(f"| {case} | {counted} | {calls:.4f} | {faults:.4f} | {switches:.5f} |", flush=True)
        if "--functions" in sys.argv:
            for function, (instructions, atomics) in sorted(
                    counts.items(), key=lambda c: (-c[1][1], -c[1][0])):
                if instructions >= 1 or atomics >= 0.05:
                    print(f"    {function:40} {instructions:7.1f} {atomics:6.2f}")


if __name__ == "__main__":
    main()
