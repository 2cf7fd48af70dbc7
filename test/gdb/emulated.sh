#!/usr/bin/env bash
# gdb with our script on a program of another processor, which an emulator runs: by its gdb stub,
# and on the core file that it writes. The same answers as in test/gdb/goroutines.sh. If it fails,
# a stack of that processor can't be looked at, though the program runs there.
# ctest: timeout=100
set -eu
export LC_ALL=C DEBUGINFOD_URLS= WEFT_MAXPROCS=2 WEFT_DEBUG=guard=mprotect
. "$WEFT_SRC/test/lib/gdb.sh"
read -ra emulator <<<"$WEFT_TEST_EMULATOR"
root=${emulator[-1]}
work=$(mktemp -d)
guest=
trap '[ -z "$guest" ] || kill -9 "$guest"; rm -rf "$work"' EXIT
cd "$work"

# At a fixed address: the core file has no headers of the program that say where else it is.
$CC -g -O1 -fno-omit-frame-pointer -no-pie -I"$WEFT_SRC/include" -o stuck \
    "$WEFT_SRC/test/gdb/stuck.c" "$WEFT_BUILD/libweft.so" "-Wl,-rpath,$work"
cp -L "$WEFT_BUILD/libweft.so" libweft.so.0

debug() # ARGUMENT...
{
	timeout 200 gdb-multiarch -nx -q -batch -ex 'set pagination off' -ex 'set confirm off' \
	    -ex 'set auto-load off' -ex "set sysroot $root" -ex "set solib-search-path $work" \
	    -ex "source $WEFT_SRC/tools/gdb/weft-gdb.py" -ex 'file stuck' "$@" </dev/null 2>&1
}

# A core file of the emulator's does not say that the processor has SVE, but frames of signals do: a
# gdb that passes over no such record (13 among them) then stays in its own loop for ever.
export QEMU_CPU=max,sve=off
ulimit -c unlimited
(
	exec timeout 240 "${emulator[@]}" -g "$work/stub" ./stuck >said.txt 2>&1 </dev/null
) &
guest=$!
is_listening=' 00010000 .* '$work/stub		# flags: __SO_ACCEPTCON
for ((i = 0; i < 1200; i++)); do
	! grep -q "$is_listening" /proc/net/unix || break
	sleep 0.05
done
# The signal is one that the emulator writes core files for, and weft has no handler for.
debug -ex "target remote $work/stub" -ex 'break look_here' -ex continue "${commands[@]}" \
    -ex 'signal SIGTRAP' >live || true
check live
wait "$guest" || true
guest=
debug -ex "core-file $(echo ./*.core)" "${commands[@]}" >core.txt || true
check core.txt

rm ./*.core
timeout 240 "${emulator[@]}" ./stuck abort >said.txt 2>&1 </dev/null || true
debug -ex "core-file $(echo ./*.core)" "${commands[@]}" >aborted.txt || true
check_aborted aborted.txt
[ "$failed" -eq 0 ] || tail -n 200 said.txt live core.txt aborted.txt
exit $failed
