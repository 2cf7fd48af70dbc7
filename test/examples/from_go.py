"""Takes the programs out of docs/from-go.md, builds and runs them, and compares what they print.

    from_go.py BUILD WORK

A section of the page has a program in Go, one in C, and a text: what both print. The C half is
built with $CC against the library in BUILD; the Go half where there is a Go, and where there is
none it says so.
"""
import os
import re
import subprocess
import sys

BUILD, WORK = sys.argv[1:]
SOURCE = os.environ["WEFT_SRC"]
SANITIZE = {"address": ["-fsanitize=address,undefined"], "thread": ["-fsanitize=thread"]}
PROGRAMS = 20


def run(what, command, **more):
    """What the command prints; None, with a complaint, if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=300, check=False, **more)
    if done.returncode != 0:
        print(f"{what}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return None
    return done.stdout


def weft_half(name, code):
    with open(f"{WORK}/{name}.c", "w", encoding="utf-8") as file:
        file.write(code)
    flags = SANITIZE.get(os.environ.get("WEFT_SANITIZE", ""), [])
    command = [os.environ["CC"], "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", *flags,
               f"-I{SOURCE}/include", f"{WORK}/{name}.c", "-o", f"{WORK}/{name}",
               f"{BUILD}/libweft.a", "-pthread"]
    return run(f"{name}, building", command)


def go_half(go, name, code):
    with open(f"{WORK}/{name}.go", "w", encoding="utf-8") as file:
        file.write(code)
    quiet = dict(os.environ, GOCACHE=f"{WORK}/cache", GOFLAGS="-mod=mod", GOTOOLCHAIN="local",
                 GO111MODULE="off", HOME=WORK)
    return run(f"{name} in Go, building", [go, "build", "-o", f"{WORK}/{name}.bin",
                                           f"{WORK}/{name}.go"], env=quiet)


def compare(name, said, wanted):
    if said is not None and said != wanted:
        print(f"{name} printed\n{said}and should print\n{wanted}")
    return said == wanted


def main():
    with open(f"{SOURCE}/docs/from-go.md", encoding="utf-8") as file:
        page = file.read()
    sections = re.findall(r"^### (\d+)\. ([^\n]*)\n(.*?)(?=^##|\Z)", page, re.M | re.S)
    go = subprocess.run([f"{SOURCE}/tools/find-go"], stdout=subprocess.PIPE, text=True,
                        check=False).stdout.strip()
    good = [int(number) for number, _, _ in sections] == list(range(1, PROGRAMS + 1))
    if not good:
        print(f"not {PROGRAMS} sections, numbered from 1")
    for number, title, body in sections:
        name = f"program{number}"
        blocks = re.findall(r"^```(go|c|text)\n(.*?)^```", body, re.M | re.S)
        if [kind for kind, _ in blocks] != ["go", "c", "text"]:
            print(f"{number}. {title}: not a program in Go, one in C, and what they print")
            good = False
            continue
        (_, in_go), (_, in_c), (_, wanted) = blocks
        if weft_half(name, in_c) is None:
            good = False
            continue
        for procs in ("1", "4"):
            said = run(f"{name} on {procs} processors", [f"{WORK}/{name}"],
                       env=dict(os.environ, WEFT_MAXPROCS=procs))
            good = compare(f"{number}. {title}", said, wanted) and good
        if go:
            built = go_half(go, name, in_go)
            said = run(f"{name} in Go", [f"{WORK}/{name}.bin"]) if built is not None else None
            good = compare(f"{number}. {title}, in Go,", said, wanted) and good
    print(f"{len(sections)} programs, in Go too" if go else f"{len(sections)} programs; no Go here")
    return 0 if good else 1


sys.exit(main())
