/*
 * Runs a test program with a poller of its own:
 *
 *   poller uring PROGRAM [ARG...]     io_uring for sockets too; skipped where it cannot be had
 *   poller refused PROGRAM [ARG...]   io_uring refused as Docker's default seccomp profile does it
 *
 * Knows nothing of weft but WEFT_POLLER.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SKIPPED = 77, FIRST_CALL = 425, LAST_CALL = 427 };	/* setup, enter, register */

static void
need_uring(void)
{
	struct io_uring_params p = {0};

	if (syscall(FIRST_CALL, 2, &p) < 0) {
		printf("skipped: io_uring: %s\n", strerror(errno));
		exit(SKIPPED);
	}
	(void)setenv("WEFT_POLLER", "uring", 1);
}

static void
refuse_uring(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_CALL, 0, 2),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_CALL, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};
	struct io_uring_params p = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
		printf("skipped: seccomp: %s\n", strerror(errno));
		exit(SKIPPED);
	}
	if (syscall(FIRST_CALL, 2, &p) >= 0 || errno == EINVAL) {
		fprintf(stderr, "poller: the filter does not hold\n");
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "uring") == 0) {
		need_uring();
	} else if (argc >= 3 && strcmp(argv[1], "refused") == 0) {
		refuse_uring();
	} else {
		fprintf(stderr, "usage: poller uring|refused PROGRAM [ARG...]\n");
		return 2;
	}
	(void)execvp(argv[2], argv + 2);
	fprintf(stderr, "poller: %s: %s\n", argv[2], strerror(errno));
	return 1;
}
