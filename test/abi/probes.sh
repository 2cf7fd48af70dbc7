#!/usr/bin/env bash
# The static probes of the library: all there, each a single nop. If it fails, a tracer attaches to
# nothing, or a probe that nobody uses costs something.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for file in libweft.so libweft.a; do
	readelf --notes --wide "$WEFT_BUILD/$file" >"$work/notes"
	found=$(sed -n '/Provider: weft$/{n;s/.*Name: //p}' "$work/notes" | sort -u | tr '\n' ' ')
	[ "$found" = 'detach go handoff park poll ready steal ' ] ||
	    { echo "$file has other probes: $found"; failed=1; }
done

readelf --notes --wide "$WEFT_BUILD/libweft.so" |
    sed -n '/Provider: weft$/,/Location/s/.*Location: \(0x[0-9a-f]*\),.*/\1/p' >"$work/places"
[ "$(wc -l <"$work/places")" -ge 7 ] || { echo "too few places"; failed=1; }
while read -r at; do
	objdump --disassemble --no-show-raw-insn --start-address="$at" \
	    --stop-address="$((at + 4))" "$WEFT_BUILD/libweft.so" >"$work/code"
	grep -qE "^ *$(printf %x "$at"):[[:space:]]*nop\$" "$work/code" ||
	    { echo "not a nop at $at:"; cat "$work/code"; failed=1; }
done <"$work/places"
exit $failed
