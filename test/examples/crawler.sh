#!/usr/bin/env bash
# The crawler finds what a few lines of Python find: in a random tree of pages, and in this one's
# documentation; with one file open at a time and with many. It visits no page twice (a circle of
# links would never end), tells what it can't read, and stops when it is interrupted.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$WEFT_BUILD/examples/crawler" "$work/crawler"
crawler=$work/crawler
failed=0

cat >"$work/truth.py" <<'PY'
"""Makes a tree of pages (make DIR SEED), or crawls one by other means than the example's."""
import html.parser, os, random, re, sys, urllib.parse


def make(root, seed):
    rand = random.Random(seed)
    names = [f"picture{i}.png" for i in range(10)]
    for i in range(110):
        page = f"p {i}.{rand.choice(['md', 'html'])}"
        names.append(os.path.join(*rand.choices("abc", k=rand.randint(0, 2)), page))
    for name in names:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        text = []
        for _ in range(rand.randint(0, 8)):
            to = rand.choice(names + [f"gone{rand.randint(0, 9)}.md", "a", "c/../b"])
            rel = os.path.relpath(os.path.join(root, to), os.path.dirname(path))
            rel = rand.choice(["", "./", "./x/../"]) + rel.replace(" ", "%20")
            rel += rand.choice(["", "#part", "?q=1#part"])
            others = ["https://example.org/" + rel, "mailto:a@b", "#here", "//h/x"]
            rel = rand.choice([rel] * 9 + others)
            q = rand.choice("\"'")
            if name.endswith(".md"):
                text.append(f"see [it]({rel}) or [so]({rel} \"title\")")
            else:
                text.append(f"<a class=x href={q}{rel}{q}>it</a> <IMG SRC={q}{rel}{q}>")
        with open(path, "w") as file:
            file.write("\n".join(text))


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("href", "src") and v is not None]


def crawl(starts):
    seen, broken, links = {}, [], 0
    todo = [os.path.normpath(s) for s in starts]
    for path in todo:
        if path in seen:
            continue
        seen[path] = os.path.exists(path)
        if not seen[path] or os.path.isdir(path):
            continue
        found = []
        if path.endswith(".md"):
            found = re.findall(r"\]\(([^) \n]*)[) \n]", open(path).read())
        elif path.endswith(".html"):
            page = Page()
            page.feed(open(path).read())
            found = page.found
        for target in found:
            url = urllib.parse.urlsplit(target)
            if url.scheme or url.netloc or not url.path:
                continue
            links += 1
            to = os.path.join(os.path.dirname(path), urllib.parse.unquote(url.path))
            to = os.path.normpath(to)
            todo.append(to)
            if not os.path.exists(to):
                broken.append(f"{path}: {target}: No such file or directory")
    print(*sorted(broken), sep="\n")
    print(f"{sum(seen.values())} files, {links} links, {len(broken)} broken")


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]))
else:
    crawl(sys.argv[2:])
PY
expect() # ARGUMENTS of the crawler; files only, for the truth
{
	local want got status=0 files=("$@")
	[ "$1" != -j ] || files=("${@:3}")
	want=$(python3 "$work/truth.py" crawl "${files[@]}" | sed '/^$/d')
	got=$(LC_ALL=C timeout 100 "$crawler" "$@") || status=$?
	got=$({ head -n -1 <<<"$got" | LC_ALL=C sort; tail -n 1 <<<"$got"; } | sed '/^$/d')
	[ "$got" = "$want" ] ||
		{ echo "crawler $*:"; diff <(echo "$want") <(echo "$got") | head; failed=1; }
	case $want in
	*" 0 broken") [ $status = 0 ] ;;
	*) [ $status = 1 ] ;;
	esac || { echo "crawler $*: status $status"; failed=1; }
}

cd "$work"
for seed in 1 2 3; do
	mkdir "tree$seed"
	python3 truth.py make "tree$seed" $seed
	start=$(find "tree$seed" -name '*.html' -size +0 | sort | head -n 1)
	WEFT_MAXPROCS=$seed expect "$start"
	expect -j 1 "$start" "./$start"
	find "tree$seed" -type f -print0 >list
	mapfile -d '' -t all <list
	expect -j 5 "${all[@]}"
done
cd "$WEFT_SRC"
expect README.md docs/README.md
cd "$work"

# What it can't begin with, it says; what may not be read is a broken link. Root may read all.
! said=$("$crawler" nowhere.md 2>&1 >/dev/null) || { echo "nowhere: status 0"; failed=1; }
[ "$said" = "crawler: nowhere.md: No such file or directory" ] || { echo "$said"; failed=1; }
: >endless.md
truncate -s 40M endless.md
! said=$("$crawler" endless.md 2>&1 >/dev/null) || { echo "endless: status 0"; failed=1; }
[ "$said" = "crawler: endless.md: File too large" ] || { echo "$said"; failed=1; }
rm endless.md
for wrong in "" "-j" "-j 0 a.md"; do
	status=0
	# shellcheck disable=SC2086
	"$crawler" $wrong 2>/dev/null || status=$?
	[ $status = 64 ] || { echo "accepted: crawler $wrong"; failed=1; }
done
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
echo '[no](closed.md) [round](round.md) [yes](open.md)' >open.md
echo 'secret' >closed.md
chmod 000 closed.md
ln -s round.md round.md
status=0
said=$("${as[@]}" ./crawler open.md) || status=$?
[ "$said,$status" = "open.md: closed.md: Permission denied
open.md: round.md: Too many levels of symbolic links
1 files, 3 links, 2 broken,1" ] || { echo "$said, status $status"; failed=1; }

# A page that never comes: interrupted, it tells what it has.
mkfifo pipe.md
exec 9<>pipe.md
echo '[never](pipe.md) [gone](gone.md)' >waits.md
"$crawler" waits.md >out 9>&- &
pid=$!
# It has the pipe open, and catches SIGINT.
until [ -n "$(find "/proc/$pid/fd" -lname "$work/pipe.md")" ] &&
    grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status; do
	kill -0 $pid
	sleep 0.05
done
kill -INT $pid
status=0
wait $pid || status=$?
[ $status = 130 ] && tail -n 1 out | grep -q '^1 files, 2 links, [01] broken$' ||
	{ echo "interrupted: status $status, $(cat out)"; failed=1; }
exit "$failed"
