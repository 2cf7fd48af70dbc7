#!/usr/bin/env bash
# Looks at what each object of the library takes from outside of it. If it fails, the runtime
# calls the system somewhere else than in src/os, so that no other body of os.h (the simulation)
# can stand in for the world, or it defines a linkable name that does not begin with wf_ or weft_.
set -eu
export LC_ALL=C
objects=$WEFT_BUILD/CMakeFiles/weft_objects.dir/src
failed=0

# The parts of libc that only compute, allocate, or read what the program was started with.
pure='mem[a-z]*|bcmp|bcmp|str[a-z]*|malloc|calloc|realloc|free|aligned_alloc|posix_memalign|getenv
|secure_getenv|snprintf|vsnprintf|qsort|bsearch|__ctype_[a-z_]*|__isoc[0-9]*_[a-z]*
|atexit|inet_pton|inet_ntop|in6addr_[a-z]*|freeaddrinfo|environ|__environ
|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__tls_get_addr'
# Weak, and there only in a program with ThreadSanitizer (base/race.h): told, never asked.
told='__tsan_(acquire|release|ignore_thread_begin|ignore_thread_end|read_range|write_range
|get_current_fiber|create_fiber|destroy_fiber|switch_to_fiber)'
allowed="^(wf_[a-z0-9_]*|weft_[a-z0-9_]*|$(tr -d '\n' <<<"$pure|$told"))\$"

# _.stapsdt.base is of <sys/sdt.h>: weak, hidden, the same in all programs.
while read -r object; do
	name=${object#"$objects"/}
	strangers=$(nm --extern-only --defined-only "$object" | awk '{ print $3 }' |
		grep -vE '^(wf_|weft_)|^_\.stapsdt\.base$' || true)
	[ -z "$strangers" ] || { echo "${name%.o}: defines" $strangers; failed=1; }
	case $name in
	os/*) continue ;;
	esac
	taken=$(nm --undefined-only "$object" | awk '{ print $2 }' |
		sed 's/^__\([a-z]*\)_chk$/\1/' | grep -vE "$allowed" || true)
	[ -z "$taken" ] || { echo "${name%.o}: takes" $taken; failed=1; }
done < <(find "$objects" -name '*.o' | sort)
exit $failed
