#!/usr/bin/env bash
# The manual is whole and true: each exported function has a page, that shows it as the header
# declares it; pages refer to pages that exist; what an example shows compiles; the formatter has
# nothing to complain about. If it fails, `man weft_something` misleads or finds nothing.
set -eu
cd "$WEFT_SRC/man"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
bad()
{
	echo "$@"
	failed=1
}

# Each function has a page, and each page a function.
sed -n 's/^WEFT_API .*\b\(weft_[a-z0-9_]*\)(.*/\1/p' ../include/weft/*.h |
    sort -u >"$work/functions"
n=$(wc -l <"$work/functions")
[ "$n" -ge 80 ] || bad "found only $n functions"
ls -- *.3 | sed 's/\.3$//' | sort >"$work/pages"
comm -23 "$work/functions" "$work/pages" | sed 's/$/: no page/' >"$work/missing"
comm -13 "$work/functions" "$work/pages" | sed 's/$/.3: no such function/' >>"$work/missing"
[ ! -s "$work/missing" ] || bad "$(cat "$work/missing")"

# A page that only refers to another is named by that other.
for page in *.3; do
	target=$(sed -n 's/^\.so man3\///p' "$page")
	[ -n "$target" ] || continue
	grep -q "^\.Nm ${page%.3}\( ,\)*$" "$target" || bad "$page: $target does not name it"
done

# Formatters are content.
for page in *.[137]; do
	! grep -q '^\.so' "$page" || continue
	mandoc -T lint -W warning "$page" >"$work/said" || bad "$(cat "$work/said")"
	groff -mandoc -ww -z "$page" >"$work/said" 2>&1 || true
	[ ! -s "$work/said" ] || bad "$(cat "$work/said")"
	for section in NAME SYNOPSIS DESCRIPTION 'SEE ALSO'; do
		grep -qi "^\.Sh $section$" "$page" || bad "$page: no section $section"
	done
done
for page in *.3; do
	! grep -q '^\.so' "$page" || continue
	for section in 'Sh RETURN VALUES' 'Ss Context' 'Ss Blocking'; do
		grep -q "^\.$section$" "$page" || bad "$page: no section $section"
	done
done

# References within the manual lead somewhere.
sed -n 's/^\(.*[^A-Za-z]\)*Xr \(weft[-a-z0-9_]*\) \([137]\).*/\2.\3/p' -- *.[37] |
    sort -u | while read -r page; do
	[ -e "$page" ] || echo "a page refers to $page"
done >"$work/dangling"
[ ! -s "$work/dangling" ] || bad "$(cat "$work/dangling")"

# What the environment can say is in weft.7.
for name in WEFT_MAXPROCS GOMAXPROCS WEFT_STACK WEFT_DEBUG WEFT_POLLER WEFT_FILE_THREADS \
    WEFT_TRACE WEFT_FLIGHT \
    $(sed -n 's/.*is(s, name, "\([a-z]*\)").*/\1/p' ../src/debug/env.c); do
	grep -q "\(Ev\|Cm\) $name\>" weft.7 || bad "weft.7: $name is not there"
done

# Synopses, as declarations after the header's: the compiler compares them. Examples compile.
python3 - "$work" <<'PY' || failed=1
import glob, re, sys

work = sys.argv[1]
declarations = ["#include <dirent.h>", "#include <netdb.h>", "#include <sys/stat.h>",
                "#include <weft.h>", "#include <weft/sim.h>", "#include <weft/tls.h>"]
words = re.compile(r'"([^"]*)"|(\S+)')
shown = set()
for page in sorted(glob.glob("*.[37]")):
    text = open(page).read()
    if text.startswith(".so"):
        continue
    synopsis = text.split(".Sh SYNOPSIS\n")[1].split(".Sh ")[0]
    type_, name, arguments = None, None, []
    for line in synopsis.splitlines():
        parts = [a or b for a, b in words.findall(line)]
        if not parts:
            continue
        if parts[0] == ".Ft":
            type_ = " ".join(parts[1:])
        elif parts[0] == ".Fn":
            declarations.append("%s %s(%s);" % (type_, parts[1], ", ".join(parts[2:])))
            shown.add(parts[1])
        elif parts[0] == ".Fo":
            name, arguments = parts[1], []
        elif parts[0] == ".Fa":
            arguments.append(parts[1])
        elif parts[0] == ".Fc":
            declarations.append("%s %s(%s);" % (type_, name, ", ".join(arguments)))
            shown.add(name)
    if ".Sh EXAMPLES\n" in text:
        examples = text.split(".Sh EXAMPLES\n")[1].split(".Sh ")[0]
        blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", examples, re.M | re.S)
        for i, code in enumerate(blocks):
            with open("%s/%s.%d.c" % (work, page, i), "w") as f:
                f.write(code.replace("\\e", "\\"))
open(work + "/synopses.c", "w").write("\n".join(declarations) + "\n")
functions = set(open(work + "/functions").read().split())
for name in sorted(functions - shown):
    print("%s: no synopsis shows it" % name)
sys.exit(functions != shown)
PY
for unit in "$work"/*.c; do
	$CC -std=gnu11 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only -I../include \
	    "$unit" ||
		bad "$(basename "$unit")"
done
exit "$failed"
