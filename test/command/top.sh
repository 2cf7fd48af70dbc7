#!/usr/bin/env bash
# weft top on terminals of all sizes and kinds, and on processes that are not there any more: see
# top.py. If it fails, the tool for a server in trouble is in trouble itself.
# ctest: timeout=300
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
$CC -g -O1 -I"$WEFT_SRC/include" -o "$work/stuck" "$WEFT_SRC/test/gdb/stuck.c" \
    "$WEFT_BUILD/libweft.a" -pthread
cp "$WEFT_BUILD/bin/weft" "$work"		# where another user may start it
WEFT_STUCK=$work/stuck WEFT_COMMAND=$work/weft python3 -B "$(dirname "$0")/top.py"
