#!/usr/bin/env python3
"""Makes a source wrong.

    apply.py NAME.wrong TREE OUT

A .wrong file says in a line or two what is wrong, then names the `program:` and the `scenario:`
that must find out, and the `file:` of TREE. Then come edits: lines that begin with "-", which stand in the file exactly
once, one after the other, and lines that begin with "+", which take their place. An empty line
divides two edits of which the first only takes away. The file is
written below OUT, without "src/". Ends with an error when an edit does not fit: the source has
changed, and the mutant must follow.
"""
import itertools
import os
import sys


def main(mutant, tree, out):
    with open(mutant, encoding="utf-8") as file:
        lines = file.read().split("\n")
    name = next(line[len("file: "):] for line in lines if line.startswith("file: "))
    with open(os.path.join(tree, name), encoding="utf-8") as file:
        text = file.read()
    groups = [(sign, "".join(line[1:] + "\n" for line in group))
              for sign, group in itertools.groupby(lines, key=lambda line: line[:1])
              if sign in ("-", "+")]
    if not groups or groups[0][0] != "-":
        sys.exit(f"{mutant}: no edit")
    while groups:
        old = groups.pop(0)[1]
        new = groups.pop(0)[1] if groups and groups[0][0] == "+" else ""
        if text.count(old) != 1:
            sys.exit(f"{mutant}: {text.count(old)} times in {name}, not once:\n{old}")
        text = text.replace(old, new)
    to = os.path.join(out, name[len("src/"):])
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
