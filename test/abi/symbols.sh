#!/usr/bin/env bash
# What the two libraries export and need. If it fails, weft's names clash with a program's own,
# what the headers promise cannot be linked, or a program gets an executable stack, a shadow stack
# that our switch breaks, or a library that it did not ask for.
set -eu
export LC_ALL=C
so=$WEFT_BUILD/libweft.so archive=$WEFT_BUILD/libweft.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
wrong()
{
	echo "wrong: $*"
	failed=1
}

# Declared in the public headers.
echo '#include <weft.h>' | $CC -std=gnu11 -I"$WEFT_SRC/include" -E -x c - |
	sed 's/\(extern const .*\<weft_[a-z0-9_]*\);$/\1(/' |
	grep -o '\<weft_[a-z0-9_]* *(' | tr -d ' (' | sort -u >"$work/declared"
nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/so"
nm --extern-only --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u >"$work/archive"

[ "$(wc -l <"$work/declared")" -ge 80 ] || wrong "found too few functions in the headers"
for library in so archive; do
	missing=$(comm -23 "$work/declared" "$work/$library")
	extra=$(comm -13 "$work/declared" "$work/$library")
	[ -z "$missing" ] || wrong "$library: declared but not exported:" $missing
	[ -z "$extra" ] || wrong "$library: exported but not declared:" $extra
done

# Exported under our version name, with the name that the loader looks for.
readelf -W --dyn-syms "$so" | grep -q ' weft_go@@WEFT_0.1' || wrong "no symbol version WEFT_0.1"
[ "$(readelf -dW "$so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" = libweft.so.0 ] || wrong "soname"

needed=$(readelf -dW "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
	case $library in
	libc.so.6 | ld-linux-*) ;;
	*) wrong "needs $library" ;;
	esac
done

readelf -lW "$so" | grep -q 'GNU_STACK.* RW ' || wrong "the stack is executable"
note=$(readelf -SW "$archive" | grep '\.note\.GNU-stack' || true)
case $note in
"" | *" X "*) wrong "the archive asks for an executable stack" ;;
esac
if readelf -nW "$so" "$archive" 2>/dev/null | grep -q SHSTK; then
	wrong "claims shadow stacks"
fi
if readelf -dW "$so" | grep -q TEXTREL; then
	wrong "has text relocations"
fi
exit $failed
