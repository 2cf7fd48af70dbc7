#!/bin/bash
# Every function of src/os/os.h either fails once in the tests of this folder, or is one that cannot
# fail in a way that a caller is told of. If this fails, a new call of the system has no such test.
set -euo pipefail
cd "$WEFT_SRC"

cannot="
	now wall_clock tid pid is_main_thread thread_yield page_size affinity_count getenv environ
	exceptions timer_slack_min thread_name at_fork_child thread_mask_init thread_exit
	futex_wake unmap stack_announce stack_forget nohugepage faults
	sigfn sigaltstack_free sigaltstack_has sigregs errno_save errno_restore eventfd_ring
	kill_self raise_default pause_forever exit abort freeaddrinfo uring_close uring_is_used
	binds_early elf_prepare lock_held prof_time untouched touch syscall_name
"
# Fail only for arguments that are wrong (no such signal, descriptor, program or process).
wrong_only="
	sigaction sigaction_deferred sigaction_ignore sigaction_get sigaction_restore
	is_nonblock set_nonblock poll_now file_type above_stdio
	find_program wait_pidfd kill_pidfd kill_group thread_kill thread_place
"
declared=$(grep -o 'wf_os_[a-z_]*(' src/os/os.h | sed 's/wf_os_//; s/(//' | sort -u)
here=$(sed -nE 's/^(FAILS|HALVES|LATE|LACKS|NAMES)\([^,]*, ([a-z_]+),.*/\2/p
    s/^VECTOR\(([a-z_]+),.*/\1/p' test/fault/calls.h | sort -u)
known=$(printf '%s\n' $cannot $wrong_only $here | sort -u)

missing=$(comm -23 <(echo "$declared") <(echo "$known"))
[ -z "$missing" ] || echo "neither in test/fault/calls.h nor in the lists of this file:" $missing
gone=$(comm -13 <(echo "$declared") <(printf '%s\n' $here | sort -u))
[ -z "$gone" ] || echo "not in src/os/os.h:" $gone
# A scenario says which it must have refused, in a string: each is in one. What a program does at
# its start is refused by begin.c, call by call.
at_start="epoll_create eventfd membarrier_init guard_install protect_none read_file make_ready"
named=$(grep -ho '"[a-z_ |]*"' test/fault/*.c | tr -d '"' | tr ' |' '\n\n' | sort -u)
idle=$(comm -23 <(echo "$here") <(printf '%s\n' $named $at_start | sort -u))
[ -z "$idle" ] || echo "no scenario of test/fault must refuse them:" $idle
# The same of those of libc that a signal interrupts. Not of these: io_uring does their work where
# it is there, and a scenario's list holds with each poller.
not_by_ring="fsync(2) fdatasync(2) preadv(2) pwritev(2)"
signalled=$(sed -nE 's/^SIGNALLED\(([a-z0-9_]+),.*/\1(2)/p' test/fault/calls.h | sort -u)
named=$(grep -ho '"[a-z0-9_ |()]*"' test/fault/*.c | tr -d '"' | tr ' |' '\n\n' | sort -u)
quiet=$(comm -23 <(echo "$signalled") <(printf '%s\n' $named $not_by_ring | sort -u))
[ -z "$quiet" ] || echo "no scenario of test/fault must interrupt them:" $quiet
[ -z "$missing$gone$idle$quiet" ]
