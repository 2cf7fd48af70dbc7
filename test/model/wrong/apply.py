#!/usr/bin/env python3
"""Makes a source wrong.

    apply.py NAME.wrong TREE OUT

A .wrong file says in a line or two what is wrong, then names the `program:` and the `scenario:`
that must find out (in ../flaws/ also `by:` which strategy), the steps of the protocol that it takes away (`edge:`, of the folder of the
file, or FOLDER/STEP), and the `file:` of TREE. Then come edits: lines that begin with "-", which stand in the file exactly
once, one after the other, and lines that begin with "+", which take their place. An empty line
divides two edits of which the first only takes away. The file is
written below OUT, without its first folder. Ends with an error when an edit does not fit: the source has
changed, and the mutant must follow.
"""
import itertools
import os
import sys


def edit(mutant, tree):
    """The file that is changed, its new text, and what does not fit, if anything."""
    with open(mutant, encoding="utf-8") as file:
        lines = file.read().split("\n")
    name = next(line[len("file: "):] for line in lines if line.startswith("file: "))
    if not os.path.exists(os.path.join(tree, name)):
        return name, "", f"{name} is not there"
    with open(os.path.join(tree, name), encoding="utf-8") as file:
        text = file.read()
    groups = [(sign, "".join(line[1:] + "\n" for line in group))
              for sign, group in itertools.groupby(lines, key=lambda line: line[:1])
              if sign in ("-", "+")]
    if not groups or groups[0][0] != "-":
        return name, text, "no edit"
    while groups:
        old = groups.pop(0)[1]
        new = groups.pop(0)[1] if groups and groups[0][0] == "+" else ""
        if text.count(old) != 1:
            return name, text, f"{text.count(old)} times in {name}, not once:\n{old}"
        text = text.replace(old, new)
    return name, text, None


def main(mutant, tree, out):
    name, text, wrong = edit(mutant, tree)
    if wrong:
        sys.exit(f"{mutant}: {wrong}")
    to = os.path.join(out, name.split("/", 1)[1])
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
