/*
 * A system call that is refused from now on, by a filter: as in containers, and in programs that
 * lock themselves in. To be called in a process of its own (child.h).
 */
#ifndef WEFT_TEST_LIB_REFUSE_H
#define WEFT_TEST_LIB_REFUSE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void
need_filters(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		SKIP("no seccomp here: %s", strerror(errno));
}

/* From now on the call fails so: in this thread and those it starts, or in all that there are. */
static inline void
refuse(unsigned call, int error, bool all_threads)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

	EXPECT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	EXPECT_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		      all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0, &prog),
	    0);
}

#endif /* WEFT_TEST_LIB_REFUSE_H */
