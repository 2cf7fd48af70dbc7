#!/usr/bin/env bash
# Compiles contract.c in both languages and links and runs it with both libraries. If it fails,
# programs that were written against the contract no longer build.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-Wall -Wextra -Wshadow -Werror -I$WEFT_SRC/include"
program=$WEFT_SRC/test/abi/contract.c

for library in "$WEFT_BUILD/libweft.a" "$WEFT_BUILD/libweft.so"; do
	$CC -std=c11 $strict "$program" -o "$work/c" "$library"
	LD_LIBRARY_PATH=$WEFT_BUILD "$work/c"
	$CXX -x c++ -std=c++17 $strict "$program" -x none -o "$work/cxx" "$library"
	LD_LIBRARY_PATH=$WEFT_BUILD "$work/cxx"
done
