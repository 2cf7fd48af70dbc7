#!/usr/bin/env bash
# The documentation is true: what it shows as C is part of a program in examples/ or compiles as it
# stands, its links lead somewhere, and the programs of its own that it speaks of do what it says.
# If it fails, readers learn something that does not work.
set -eu
bin=$WEFT_BUILD/examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

[ "$("$bin/hello" | sed 's/, goroutine [0-9]*$//' | sort | tr '\n' ' ')" = \
    "hello from loom hello from warp hello from weft " ] || { echo "hello failed"; failed=1; }
[ "$(timeout 60 "$bin/stuck" | tr '\n' ' ')" = "1 2 3 4 5 " ] || { echo "stuck failed"; failed=1; }
timeout 60 "$bin/errno" | grep -q '^moved [0-9]*, errno of the old thread' ||
	{ echo "errno failed"; failed=1; }

cd "$WEFT_SRC"
python3 - "$work" <<'PY' || failed=1
import glob, os, re, sys

work, failed = sys.argv[1], False
examples = [open(f).read() for f in glob.glob("examples/**/*.[ch]", recursive=True)]
pages = glob.glob("docs/*.md") + glob.glob("*.md") + ["bench/README.md", "test/README.md"]


def anchors(page):
    heads = re.findall(r"^#+ (.*)$", open(page).read(), re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-") for h in heads}


for page in pages:
    text = open(page).read()
    blocks = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)
    for i, code in enumerate([] if page.startswith("test/") else blocks):
        if not any(code in example for example in examples):
            with open("%s/%s.%d.c" % (work, os.path.basename(page), i), "w") as f:
                f.write("#include <errno.h>\n#include <unistd.h>\n#include <weft.h>\n" + code)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        there = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(there):
            print("%s: link to %s leads nowhere" % (page, target))
            failed = True
        elif anchor and anchor not in anchors(there):
            print("%s: no heading %s" % (page, target))
            failed = True
sys.exit(failed)
PY
for unit in "$work"/*.c; do
	[ -e "$unit" ] || continue
	$CC -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -Iinclude "$unit" ||
		{ echo "$(basename "$unit"): neither in examples/ nor a program"; failed=1; }
done
exit "$failed"
