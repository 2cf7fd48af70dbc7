#!/usr/bin/env bash
# The probes, asked by who asks them in the world: their arguments by gdb, and examples/waits.bt by
# bpftrace, where the kernel lets itself be asked by it. If it fails, who looks for a rare event in
# a server sees none, or another.
# ctest: timeout=900
set -eu
export LC_ALL=C DEBUGINFOD_URLS= WEFT_MAXPROCS=2
work=$(mktemp -d)
program=
tracer=
trap 'for p in $program $tracer; do kill -9 "$p" 2>/dev/null || :; done; rm -rf "$work"' EXIT
cd "$work"
failed=0
for library in so a; do
	$CC -g -O1 -fno-omit-frame-pointer -I"$WEFT_SRC/include" -o probes-$library \
	    "$WEFT_SRC/test/gdb/probes.c" "$WEFT_BUILD/libweft.$library" -pthread \
	    "-Wl,-rpath,$WEFT_BUILD"
done

# What stands at each probe, and what its arguments must be: a line of "= 1" for each that is so.
number='$_probe_arg0 < 2'
commands=()
expect() # PROBE HOW_MANY_ARGUMENTS EXPRESSION...
{
	local probe=$1 expression
	commands+=(-ex "tbreak -probe-stap weft:$1" -ex continue -ex "print \$_probe_argc == $2")
	shift 2
	for expression; do
		commands+=(-ex "print $expression")
		n_expected=$((n_expected + 1))
	done
	n_expected=$((n_expected + 1))
	commands+=(-ex "echo at $probe\\n")
}
n_expected=0
expect go 2 '$_probe_arg0 > 0' '(void *)$_probe_arg1 == (void *)receives'
expect park 2 '$_probe_arg0 == $goroutine()' \
    '$_probe_arg1 == 1 || $_probe_arg1 == 2 || $_probe_arg1 == 8 || $_probe_arg1 == 9'
expect ready 1 '$_probe_arg0 > 0'
expect steal 3 "$number" '$_probe_arg1 == 1 - $_probe_arg0' '$_probe_arg2 > 0'
expect handoff 1 "$number"
expect detach 3 "$number" '$_probe_arg1 > 0' '$_probe_arg2 == 0 || $_probe_arg2 == 1'
expect poll 1 '$_probe_arg0 < 100'
timeout 250 gdb -nx -q -batch -ex 'set pagination off' -ex 'set confirm off' \
    -ex 'set auto-load off' -ex "source $WEFT_SRC/tools/gdb/weft-gdb.py" -ex 'break main' \
    -ex run -ex 'delete 1' "${commands[@]}" -ex kill --args ./probes-so forever \
    </dev/null >by-gdb 2>&1 || true
if ! grep -q '^at poll$' by-gdb || [ "$(grep -c '^\$[0-9]* = 1$' by-gdb)" -ne "$n_expected" ]; then
	echo "not all $n_expected of what gdb was asked is so:"
	cat by-gdb
	failed=1
fi

# In a container, or without the right, there is nobody to be asked; gdb has seen the probes.
if ! timeout 100 bpftrace -e "uprobe:$work/probes-a:reads { exit(); } interval:ms:1 { exit(); }" \
    >said 2>&1; then
	echo "not asked by bpftrace, which says here: $(tail -n 1 said)"
	exit $failed
fi

await() # FILE TEXT
{
	for ((i = 0; i < 1200; i++)); do
		! grep -qF -- "$2" "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	echo "$1: '$2' never came: $(cat "$1")"
	exit 1
}

mkfifo in
./probes-a <in >out &
program=$!
exec 3>in
await out ready
timeout 250 bpftrace -B line -p "$program" "$WEFT_SRC/examples/waits.bt" >traced 2>&1 3>&- &
tracer=$!
await traced '@readied: '	# by the timer, which is attached last
echo >&3
await out 'done'
kill "$tracer"			# it asks the program for names before it ends
wait "$tracer" || true
tracer=
exec 3>&-
wait "$program" || failed=1
program=
for shown in '@waits_by_reason\[1\]: [1-9]' '@waits_by_reason\[8\]: [1-9]' \
    '@waits_by_reason\[9\]: [1-9]' '@started_by_function\[is_started.*\]: [1-9]' \
    '@readied: [1-9]' '@stolen: *$' '@handed_over: [1-9]' \
    '@detached_blocked_or_computing\[0\]: [1-9]' \
    '@detached_blocked_or_computing\[1\]: [1-9]' '@poll_brought: *$'; do
	if ! grep -q "^$shown" traced; then
		echo "bpftrace shows no $shown, but: $(cat traced)"
		failed=1
	fi
done
# What docs/observe.md shows of it is shown, with other numbers.
sed -n '/# bpftrace -p PID/,/^$/s/^ *\(@.*\): [0-9]*$/\1/p' "$WEFT_SRC/docs/observe.md" >page
[ -s page ] || { echo "docs/observe.md shows nothing of bpftrace"; failed=1; }
while read -r shown; do
	if ! grep -F "$shown: " traced | grep -q ': [1-9][0-9]*$'; then
		echo "docs/observe.md: bpftrace shows no $shown, but: $(cat traced)"
		failed=1
	fi
done <page
exit $failed
