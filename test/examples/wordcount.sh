#!/usr/bin/env bash
# The pipeline counts what wc, sort and uniq count, on this tree and on files made to be difficult,
# with one processor and with several; says what it can't read; and stops when it is interrupted.
# A pipeline that loses a block at its end, or a word between two blocks, is found here.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$WEFT_BUILD/examples/wordcount" "$work/wordcount"
wordcount=$work/wordcount
failed=0

words() # of all files below a directory, one a line
{
	# A word ends with its file, and some files have no newline at their end.
	find "$1" -type f -exec sed -s '$a\' {} + | tr -s ' \t\n\v\f\r' '\n' | sed '/^$/d'
}
expect() # DIRECTORY TOP: totals and the most frequent words
{
	local want got
	read -r lines bytes <<<"$(find "$1" -type f -exec cat {} + | wc -lc)"
	want=$(echo "$lines $(words "$1" | wc -l) $bytes"
		words "$1" | sort | uniq -c | sed 's/^ *//' | sort -k1,1nr -k2 | head -n "$2")
	got=$(timeout 100 "$wordcount" "$1" "$2") || { echo "$1: status $?"; failed=1; }
	[ "$got" = "$want" ] ||
		{ printf '%s on %s processors:\n' "$1" "$WEFT_MAXPROCS"; failed=1
		diff <(echo "$want") <(echo "$got") | head -n 10; }
}

mkdir -p "$work/odd/deep/deeper dir"
: >"$work/odd/empty"
printf 'two words\n' >"$work/odd/deep/small"
printf ' \t\v\f\r\n\n  ' >"$work/odd/only white space"
head -c 200000 /dev/zero | tr '\0' x >"$work/odd/deep/deeper dir/one long word"
echo >>"$work/odd/deep/deeper dir/one long word"
# Words that begin or end at the edges of blocks of 64 KiB, whatever is cut off before.
for shift in 0 1 2 3; do
	{
		head -c "$((65530 + shift))" /dev/zero | tr '\0' ' '
		seq 1 40000
	} >"$work/odd/edge$shift"
done
for procs in 1 2 4; do
	export WEFT_MAXPROCS=$procs
	expect "$work/odd" 20
	expect "$WEFT_SRC/docs" 15
done
expect "$WEFT_SRC/src" 100
expect "$WEFT_SRC/test" 0

! said=$("$wordcount" "$work/nowhere" 2>&1) || { echo "nowhere: status 0"; failed=1; }
[ "${said%%$'\n'*}" = "wordcount: $work/nowhere: No such file or directory" ] ||
	{ echo "nowhere: $said"; failed=1; }
for wrong in "" "a b c" "a -1"; do
	status=0
	# shellcheck disable=SC2086
	"$wordcount" $wrong 2>/dev/null || status=$?
	[ $status = 64 ] || { echo "accepted: wordcount $wrong"; failed=1; }
done

# A file that may not be read is named, and the rest is counted. Root may read all: be nobody then.
mkdir "$work/secret"
echo 'seen by all' >"$work/secret/open"
echo 'seen by none' >"$work/secret/closed"
chmod 000 "$work/secret/closed"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
status=0
said=$("${as[@]}" "$wordcount" "$work/secret" 0 2>"$work/err") || status=$?
[ "$said,$status" = "1 3 12,1" ] || { echo "secret: $said, status $status"; failed=1; }
[ "$(cat "$work/err")" = "wordcount: $work/secret/closed: Permission denied" ] ||
	{ cat "$work/err"; failed=1; }

# A pipe that nobody writes to: the reader waits. Interrupted, all stages end, and nothing is told.
mkfifo "$work/odd/pipe"
exec 9<>"$work/odd/pipe"
"$wordcount" "$work/odd" >"$work/out" 2>"$work/err" 9>&- &
pid=$!
# It has the pipe open, and catches SIGINT.
until [ -n "$(find "/proc/$pid/fd" -lname "$work/odd/pipe")" ] &&
    grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status; do
	kill -0 $pid
	sleep 0.05
done
kill -INT $pid
status=0
wait $pid || status=$?
[ $status = 130 ] && [ ! -s "$work/out" ] ||
	{ echo "interrupted: status $status, $(cat "$work/out")"; failed=1; }
exit "$failed"
