#!/usr/bin/env bash
# Thread-locals and errno in the objects of the library. A goroutine may be on another thread after
# each call that can park it, and a compiler keeps the address of a thread-local, and of errno,
# across calls. If this fails, some function may read or write those of another thread: catalogue
# 122. There is one thread-local; its address is taken anew for each access; and errno is for
# src/os, which never parks.
set -eu
export LC_ALL=C
cd "$WEFT_BUILD/CMakeFiles/weft_objects.dir/src"
mapfile -t objects < <(find . -name '*.o' | grep -vE '^\./(os/|sched/self\.c)' | sort)
failed=0
complain() # WHAT LINES
{
	[ -z "$2" ] || { printf '%s:\n%s\n' "$1" "$2"; failed=1; }
}

complain "errno outside of src/os" \
    "$(nm -A --undefined-only "${objects[@]}" | grep __errno_location || true)"
complain "a thread-local outside of sched/self" \
    "$(readelf --wide --symbols "${objects[@]}" | grep -E ' TLS +[A-Z]+ +[A-Z]+ +[0-9]+ ' || true)"

# Each load of the address is followed by the access, and nothing is reached by an older address.
# 0x28 is the stack protector's, the same in all threads.
pairs='
/file format/ { file = $1 }
/R_X86_64_(GOTTPOFF|TPOFF|TLS|GOTPC32_TLSDESC|DTPOFF)/ { taken = 1; n++; next }
/^ *[0-9a-f]+:\t/ {
	if (taken ? !/%fs:(0x0)?\(%r[a-z0-9]+\)/ : /%fs:/ && !/%fs:0x28/) print file $0
	taken = 0
}
END { print n + 0 }'
case $("$CC" -dumpmachine) in
x86_64*)
	said=$(objdump -dr --no-show-raw-insn "${objects[@]}" | awk "$pairs")
	complain "its address is kept" "$(sed '$d' <<<"$said")"
	[ "$(tail -n 1 <<<"$said")" -ge 100 ] || complain "is this looking at anything?" "$said"
	;;
esac
exit $failed
