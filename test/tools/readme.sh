#!/usr/bin/env bash
# Compiles and runs the program that README.md shows. If it fails, the first thing that a reader
# tries does not work.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed -n '/^```c$/,/^```$/p' "$WEFT_SRC/README.md" | grep -v '^```' >"$work/program.c"
sanitizer=
case $WEFT_SANITIZE in
address) sanitizer=-fsanitize=address,undefined ;;
thread) sanitizer=-fsanitize=thread ;;
esac
$CC -Wall -Wextra -Werror $sanitizer -I"$WEFT_SRC/include" "$work/program.c" -o "$work/program" \
    "$WEFT_BUILD/libweft.a" -pthread
said=$("$work/program")
[ "$said" = $'1\n2\n3' ] || { echo "it said: $said"; exit 1; }
