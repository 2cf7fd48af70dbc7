#!/usr/bin/env bash
# Every public header compiles alone, twice, and before and after the system's, as strict C11 and
# C++17. If it fails, whether a user's program builds depends on the order of its includes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror -I$WEFT_SRC/include"
failed=0

posix="arpa/inet.h assert.h complex.h ctype.h dirent.h errno.h fcntl.h float.h inttypes.h limits.h
    locale.h math.h net/if.h netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h sched.h search.h
    semaphore.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h
    stdio.h stdlib.h string.h strings.h sys/mman.h sys/select.h sys/socket.h sys/stat.h sys/time.h
    sys/types.h sys/uio.h sys/un.h sys/wait.h tgmath.h time.h unistd.h wchar.h"
cxx="algorithm array atomic chrono condition_variable functional future iostream map memory mutex
    optional string thread tuple utility variant vector cmath cstdint cstdio cstdlib cstring"

lines() # HEADER...
{
	printf '#include <%s>\n' "$@"
}
check() # WHAT, the text on stdin
{
	cat >"$work/unit"
	for dialect in c11 gnu11 c17; do
		$CC -x c -std=$dialect $strict "$work/unit" ||
			{ echo "$1: not clean as $dialect"; failed=1; }
	done
}
check_cxx() # WHAT, the text on stdin
{
	cat >"$work/unit"
	for dialect in c++17 gnu++17 c++20; do
		$CXX -x c++ -std=$dialect $strict "$work/unit" ||
			{ echo "$1: not clean as $dialect"; failed=1; }
	done
}

cd "$WEFT_SRC/include"
for header in weft.h weft/*.h; do
	lines "$header" "$header" | check "$header alone"
	lines "$header" "$header" | check_cxx "$header alone"
done
cd "$WEFT_SRC"
# shellcheck disable=SC2086
{
	lines weft.h $posix | check "weft.h before POSIX"
	lines $posix weft.h | check "weft.h after POSIX"
	cxx_posix=${posix/stdatomic.h/}
	lines weft.h $cxx_posix $cxx | check_cxx "weft.h before C++"
	lines $cxx $cxx_posix weft.h | check_cxx "weft.h after C++"
}
# What is left out for either reason may be so for both.
strict="$strict -DWEFT_NO_INLINE -fsanitize=thread"
lines weft.h | check "weft.h without inline functions, under ThreadSanitizer"
lines weft.h | check_cxx "weft.h without inline functions, under ThreadSanitizer"
exit $failed
