#!/usr/bin/env bash
# ctest: timeout=60
# A program against a library built with a sanitizer: it must find the bug that is planted in a
# goroutine, of each kind that it is for, and say nothing of the same program without one. If this
# fails, the sanitizer's builds pass all tests because they see nothing.
set -u
[ -n "$WEFT_SANITIZE" ] || exit 77	# memcheck.sh is for the others
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

kinds=$WEFT_SANITIZE
[ "$kinds" = thread ] || kinds=address,undefined
"$CC" -g -O1 "-fsanitize=$kinds" -fno-sanitize-recover=all -I"$WEFT_SRC/include" \
    -o "$dir/planted" "$WEFT_SRC/test/sanitize/planted.c" "$WEFT_BUILD/libweft.a" -pthread || exit 1

# What parked goroutines hold is no leak: their stacks are looked at (src/debug/leaks.c).
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1

# found BUG WORDS TRIES: it is found in one of so many runs. A race must happen to be seen.
found()
{
	local bug=$1 words=$2 tries=$3
	for ((i = 0; i < tries; i++)); do
		"$dir/planted" "$bug" >"$dir/log" 2>&1
		! grep -q "$words" "$dir/log" || return 0
	done
	echo "$bug: no \"$words\" in $tries runs"
	head -n 20 "$dir/log"
	failed=1
}

for ((i = 0; i < 3; i++)); do
	if ! "$dir/planted" >"$dir/log" 2>&1 || [ -s "$dir/log" ]; then
		echo "a program without a bug:"
		head -n 40 "$dir/log"
		failed=1
	fi
done
case $WEFT_SANITIZE in
address)
	found freed 'heap-use-after-free' 1
	found overrun 'stack-buffer-overflow' 1
	found returned 'stack-use-after-return' 1
	found leak 'LeakSanitizer: detected memory leaks' 1
	found overflow 'signed integer overflow' 1
	;;
thread)
	found race 'WARNING: ThreadSanitizer: data race' 30
	;;
esac
exit $failed
