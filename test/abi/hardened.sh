#!/usr/bin/env bash
# The products are built with what makes a bug hard to use: tables of the linker that are read-only
# before main(), programs at random addresses, canaries, checked copies, and frames that touch every
# page on their way down. If it fails, a flag was lost on the way to some target. (Executable
# stacks and branch tracking: notes.sh.)
set -eu
export LC_ALL=C
failed=0 n=0
complain()
{
	echo "$1"
	failed=1
}

# What is no scheduler has a canary in each function, also where there is nothing to overrun.
guarded() # FILE FUNCTION
{
	case $("$CC" -dumpmachine) in
	x86_64*)
		objdump -d --no-show-raw-insn --disassemble="$2" "$1" | grep -q '%fs:0x28' ||
			complain "$1: no canary in $2 (-fstack-protector-all)"
		;;
	esac
}

for product in libweft.so libweft-tls.so libweft-sim.so bin/weft weft-httpd; do
	file=$WEFT_BUILD/$product
	[ -e "$file" ] || continue
	n=$((n + 1))
	headers=$(readelf --wide --program-headers "$file")
	dynamic=$(readelf --wide --dynamic "$file")
	grep -q GNU_RELRO <<<"$headers" || complain "$product: its tables stay writable (-z relro)"
	grep -qE 'FLAGS_1.*NOW|BIND_NOW' <<<"$dynamic" || complain "$product: binds late (-z now)"
	! grep -q TEXTREL <<<"$dynamic" || complain "$product: its code is written to (TEXTREL)"
	nm -D "$file" | grep -q ' __stack_chk_fail' ||
		complain "$product: no canaries (-fstack-protector-strong)"
	case $product in
	libweft-tls.so) guarded "$file" weft_tls_client ;;
	lib*) ;;
	*)
		guarded "$file" main
		grep -q 'FLAGS_1.*PIE' <<<"$dynamic" ||
			complain "$product: at a fixed address (-pie)"
		;;
	esac
done
[ $n -ge 2 ] || complain "only $n products: is this looking at anything?"

code=$(objdump -d --no-show-raw-insn "$WEFT_BUILD/libweft.so")
case $("$CC" -dumpmachine) in
x86_64*)
	grep -qE '(or|mov)q +\$0x0,(0x0)?\(%rsp\)' <<<"$code" ||
		complain "no frame touches its pages (-fstack-clash-protection)"
	grep -q endbr64 <<<"$code" || complain "no landing pads (-fcf-protection=branch)"
	;;
esac
case $(grep CMAKE_BUILD_TYPE: "$WEFT_BUILD/CMakeCache.txt") in
*=Release)
	nm -D "$WEFT_BUILD/libweft.so" | grep -q '__[a-z]*_chk' ||
		complain "no checked copies (-D_FORTIFY_SOURCE)"
	;;
esac
exit $failed
