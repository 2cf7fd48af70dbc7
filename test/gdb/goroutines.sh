#!/usr/bin/env bash
# gdb with our script, on a process and on its core file, with and without debug information in the
# library. If it fails, a debugger shows threads where there are goroutines, in a hang or after a
# crash, when nothing else is left to look with.
# ctest: timeout=600
set -eu
export LC_ALL=C DEBUGINFOD_URLS=
script=$WEFT_SRC/tools/gdb/weft-gdb.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

$CC -g -O1 -fno-omit-frame-pointer -I"$WEFT_SRC/include" -o stuck "$WEFT_SRC/test/gdb/stuck.c" \
    "$WEFT_BUILD/libweft.so" "-Wl,-rpath,$work"
cp -L "$WEFT_BUILD/libweft.so" libweft.so.0

commands=(-ex 'info goroutines' -ex 'info channels' -ex 'info ps' -ex 'goroutine 1 bt'
    -ex 'goroutine 2 bt' -ex 'goroutine 2 up' -ex 'goroutine all bt'
    -ex 'print mutex' -ex 'print group' -ex 'print sem' -ex 'print once' -ex 'print empty'
    -ex 'print full' -ex 'print $goroutine()' -ex 'bt' -ex 'goroutine 99 bt')
debug() # ARGUMENT...: gdb, of which nothing waits for us
{
	timeout 500 gdb -nx -q -batch -ex 'set pagination off' -ex 'set confirm off' \
	    -ex 'set auto-load off' -ex "source $script" "$@" </dev/null 2>&1
}

contains() # FILE PATTERN...: each a line of the file, in this order
{
	local file=$1 at=1 found
	shift
	for pattern; do
		found=$(tail -n "+$at" "$file" | grep -nE -m 1 -- "$pattern" | cut -d: -f1) || true
		if [ -z "$found" ]; then
			echo "$file: not found after line $at: $pattern"
			failed=1
			return 0
		fi
		at=$((at + found))
	done
}

check() # FILE: what every way of looking must show
{
	contains "$1" '^\* goroutine 1 \[running, thread [0-9]+\] look_here' \
	    '^  goroutine 2 "receiver" \[chan receive(, [0-9]+ (seconds|minutes))?\] receive_here' \
	    '^  goroutine 3 \[select(, [0-9]+ (seconds|minutes))?\] chooser' \
	    '^  goroutine 4 \[sync.Mutex.Lock(, [0-9]+ (seconds|minutes))?\] locker'
	contains "$1" '^0x[0-9a-f]+  0 of 0 elements of 4 bytes, goroutine 2 waits to receive$'
	contains "$1" '^0x[0-9a-f]+  0 of 0 elements of 0 bytes, goroutine 3 waits to receive,'
	contains "$1" ' goroutine 3 waits to send$'
	contains "$1" '^procs=2 idle=' '^P0 ' '^P1 '
	contains "$1" '^P[01] running .* thread=[0-9]+ goroutine=1$'
	# Each stack whole, to the bottom of the goroutine, and no further.
	contains "$1" '^goroutine 1 .*:$' '^#0 .* look_here' '^#1 .* main' \
	    '^goroutine 2 .*:$' '^#[0-9]+ .* weft_chan_recv ' '^#[0-9]+ .* receive_here ' \
	    '^#[0-9]+ .* deeper ' '^#[0-9]+ .* deeper ' '^#[0-9]+ .* deeper ' \
	    '^#[0-9]+ .* deeper ' '^#[0-9]+ .* receiver ' '^#[0-9]+ ' '^#[0-9]+ '
	contains "$1" '^goroutine 4 .*:$' '^#[0-9]+ .* weft_mutex_lock ' '^#[0-9]+ .* locker '
	contains "$1" 'weft_mutex\(locked, waited for\)' 'weft_waitgroup\(3\)' \
	    'weft_sem\(3 of 5 permits\)' 'weft_once\(done\)' \
	    'weft_chan\(0 of 0 elements of 4 bytes, goroutine 2 waits to receive\)' \
	    'weft_chan\(1 of 2 elements of 8 bytes\)' '^\$[0-9]+ = 1$'
	# Afterwards gdb is where it was.
	contains "$1" '^\$[0-9]+ = 1$' '^#0 .*look_here' '^#1 .* main' '^There is no goroutine 99'
	! grep -n 'Python Exception\|Traceback\|corrupt stack\|Error' "$1" || failed=1
}

# gdb's own core files end a mapping at the first page that can't be read, and guards by madvise are
# such pages; the kernel's go on behind it. So guards are mappings of their own here.
export WEFT_MAXPROCS=2 WEFT_DEBUG=guard=mprotect
debug -ex 'break look_here' -ex run "${commands[@]}" \
    -ex 'generate-core-file core' -ex kill ./stuck >live || true
check live
debug "${commands[@]}" ./stuck core >core.txt || true
check core.txt

# A library without debug information, and without a symbol table but the dynamic one.
strip libweft.so.0
debug -ex 'break look_here' -ex run "${commands[@]}" -ex kill ./stuck >stripped || true
check stripped

# As installed: loaded by itself with the library.
mkdir -p auto"$work"
cp "$script" "auto$work/libweft.so.0-gdb.py"
timeout 500 gdb -nx -q -batch -iex "set auto-load scripts-directory $work/auto" \
    -iex "set auto-load safe-path $work/auto" -ex 'break look_here' -ex run \
    -ex 'info goroutines' -ex kill ./stuck </dev/null >auto.txt 2>&1 || true
contains auto.txt '^  goroutine 4 \[sync.Mutex.Lock'

# What looks like a place in a queue and is none: in frames of a release build, as in main()'s here.
coproc ./stuck sleep
stuck=$COPROC_PID
read -r -t 60 _ <&"${COPROC[0]}"
debug -ex 'info channels' -p "$stuck" >asleep.txt || true
kill "$stuck"
if ! grep -q 'ptrace: Operation not permitted' asleep.txt; then
	contains asleep.txt 'elements of 4 bytes, goroutine 2 waits to receive$'
	! grep -n 'Python Exception' asleep.txt || failed=1
fi
[ "$failed" -eq 0 ] || tail -n 200 live core.txt stripped auto.txt asleep.txt
exit $failed
