#!/usr/bin/env bash
# gdb with our script, on a process and on its core file, with and without debug information in the
# library. If it fails, a debugger shows threads where there are goroutines, in a hang or after a
# crash, when nothing else is left to look with.
# ctest: timeout=600
set -eu
export LC_ALL=C DEBUGINFOD_URLS=
script=$WEFT_SRC/tools/gdb/weft-gdb.py
. "$WEFT_SRC/test/lib/gdb.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

$CC -g -O1 -fno-omit-frame-pointer -I"$WEFT_SRC/include" -o stuck "$WEFT_SRC/test/gdb/stuck.c" \
    "$WEFT_BUILD/libweft.so" "-Wl,-rpath,$work"
cp -L "$WEFT_BUILD/libweft.so" libweft.so.0

debug() # ARGUMENT...: gdb, of which nothing waits for us
{
	timeout 500 gdb -nx -q -batch -ex 'set pagination off' -ex 'set confirm off' \
	    -ex 'set auto-load off' -ex "source $script" "$@" </dev/null 2>&1
}

# gdb's own core files end a mapping at the first page that can't be read, and guards by madvise are
# such pages; the kernel's go on behind it. So guards are mappings of their own here.
export WEFT_MAXPROCS=2 WEFT_DEBUG=guard=mprotect
debug -ex 'break look_here' -ex run "${commands[@]}" \
    -ex 'generate-core-file core' -ex kill ./stuck >live || true
check live
debug "${commands[@]}" ./stuck core >core.txt || true
check core.txt

# The program gets the signal twice: for weft's handler, and to die of it.
debug -ex run -ex 'signal SIGABRT' -ex 'generate-core-file aborted' "${commands[@]}" -ex kill \
    --args ./stuck abort >aborting || true
check_aborted aborting
debug "${commands[@]}" ./stuck aborted >aborted.txt || true
check_aborted aborted.txt

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
[ "$failed" -eq 0 ] || tail -n 200 live core.txt aborting aborted.txt stripped auto.txt asleep.txt
exit $failed
