#!/usr/bin/env bash
# What weft-tls exports and needs, and that weft builds without it. If it fails, its names clash
# with a program's own, or who has no OpenSSL has no weft.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
wrong()
{
	echo "wrong: $*"
	failed=1
}

if [ -e "$WEFT_BUILD/libweft-tls.so" ]; then
	sed -n 's/^WEFT_API .*\b\(weft_tls_[a-z0-9_]*\)(.*/\1/p' "$WEFT_SRC/include/weft/tls.h" |
	    sort -u >"$work/declared"
	[ "$(wc -l <"$work/declared")" -ge 18 ] || wrong "found too few functions in the header"
	nm -D --defined-only "$WEFT_BUILD/libweft-tls.so" |
	    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/so"
	nm --extern-only --defined-only "$WEFT_BUILD/libweft-tls.a" |
	    awk 'NF == 3 { print $3 }' | sort -u >"$work/archive"
	for library in so archive; do
		cmp -s "$work/declared" "$work/$library" ||
			wrong "$library:" "$(diff "$work/declared" "$work/$library" || true)"
	done
	needed=$(readelf -dW "$WEFT_BUILD/libweft-tls.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	for library in libweft.so.0 libssl.so.3; do
		grep -qx "$library" <<<"$needed" || wrong "does not need $library"
	done
fi
for library in libweft.so libweft.a; do
	! nm "$WEFT_BUILD/$library" 2>/dev/null | grep -E ' U (SSL|ERR|BIO|X509)_' ||
		wrong "$library calls OpenSSL"
done

# Without: it configures, and nothing of TLS is among what it would build.
cmake -S "$WEFT_SRC" -B "$work/without" -G Ninja -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_CXX_COMPILER="$CXX" -DWEFT_TLS=OFF >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
ninja -C "$work/without" -t targets all >"$work/targets"
grep -q 'libweft\.so' "$work/targets" || wrong "no libweft without OpenSSL"
! grep -v '\.cmake:' "$work/targets" | grep -iE 'tls|ssl' ||
	wrong "something of TLS is built without OpenSSL"
"$CC" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$WEFT_SRC/include" \
    "$WEFT_SRC/examples/httpd/wire.c" || wrong "weft-httpd needs OpenSSL"
exit "$failed"
