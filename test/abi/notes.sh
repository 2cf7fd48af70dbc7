#!/usr/bin/env bash
# What the products tell the linker and the kernel about themselves. If it fails, a program that
# links weft gets an executable stack, or loses branch tracking (IBT, BTI), or is run with a shadow
# stack that the switch of stacks does not keep: each would be noticed only on the right machine.
set -eu
failed=0
complain() {
	echo "$1"
	failed=1
}

case $("$CC" -dumpmachine) in
x86_64*) want=IBT never=SHSTK flag=-fcf-protection=branch ;;
aarch64*) want=BTI never=GCS flag=-mbranch-protection=bti ;;
*) exit 77 ;;
esac

library=$WEFT_BUILD/libweft.so
readelf --wide --program-headers "$library" | grep -q 'GNU_STACK.* RW ' ||
	complain "$library: its stack is executable, or it does not say"
readelf --wide --program-headers "$library" | grep LOAD | grep -q 'RWE' &&
	complain "$library: writable code"

# What branch tracking promises must hold for every object, or the linker drops it for all.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ar x "$WEFT_BUILD/libweft.a"
for object in *.o; do
	readelf --wide --sections "$object" | grep -q '\.note\.GNU-stack.* 0 *0 *[0-9]*$' ||
		complain "$object: does not say that its stack is not executable"
	readelf --wide --sections "$object" | grep '\.note\.GNU-stack' | grep -q ' AX ' &&
		complain "$object: wants an executable stack"
	readelf --wide --notes "$object" 2>/dev/null | grep -q "$never" &&
		complain "$object: claims $never, which the switch of stacks breaks"
done
for object in *.o; do
	readelf --wide --notes "$object" | grep -q "$want" ||
		complain "$object: does not claim $want ($flag)"
done
for product in libweft.so libweft-tls.so libweft-sim.so bin/weft weft-httpd; do
	[ ! -e "$WEFT_BUILD/$product" ] ||
		! readelf --wide --notes "$WEFT_BUILD/$product" 2>/dev/null | grep -q "$never" ||
		complain "$product: claims $never"
done

# Nor does the linker claim it for a program that could, when weft is in it. (The start files of
# the system may say less than ours: without them.)
if [ "$never" = SHSTK ]; then
	echo 'int answer(void) { return 42; }' >able.c
	"$CC" -fPIC -fcf-protection=full -c able.c -o able.obj
	"$CC" -nostdlib -shared able.obj -o able.so
	"$CC" -nostdlib -shared able.obj weft.o -o both.so
	readelf --wide --notes able.so | grep -q SHSTK ||
		complain "able.so: no SHSTK, so that this finds nothing"
	! readelf --wide --notes both.so | grep -q SHSTK ||
		complain "a program with shadow stacks keeps the claim when weft is in it"
	readelf --wide --notes both.so | grep -q IBT ||
		complain "a program with branch tracking loses it by weft"
fi
exit $failed
