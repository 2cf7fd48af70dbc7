/*
 * One check of weft doctor: a question to the system, and the answer. Checks change nothing but
 * this process, need no privilege, and never start the runtime, which could fail for what is asked.
 */
#ifndef WEFT_CHECK_H
#define WEFT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

enum verdict { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
	const char *root;	/* stands before the paths of /proc and /sys */
	enum verdict verdict;
	char detail[512];	/* what was found; may hold any bytes of a file of the system */
	const char *remedy;	/* one line; NULL exactly when the verdict is CHECK_OK */
};

/* The answer, one of both, once. */
__attribute__((format(printf, 2, 3))) void check_ok(struct check *c, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void check_bad(
    struct check *c, enum verdict v, const char *remedy, const char *fmt, ...);
/* A small file without its last newline. False: it can't be read. */
bool check_read(const struct check *c, const char *path, char *buf, size_t cap);
/* A file that holds a number. */
bool check_read_number(const struct check *c, const char *path, long long *ret);

/* checks.c: what the kernel can do */
void check_kernel(struct check *c);
void check_guards(struct check *c);
void check_membarrier(struct check *c);
void check_epoll(struct check *c);
void check_io_uring(struct check *c);
void check_pidfd(struct check *c);
/* Do accesses to a guard of MADV_GUARD_INSTALL fault? */
bool guards_fault(void);

/* limits.c: what it allows */
void check_files(struct check *c);
void check_threads(struct check *c);
void check_memory(struct check *c);
void check_mappings(struct check *c);
void check_overcommit(struct check *c);
void check_core(struct check *c);
void check_perf(struct check *c);
void check_ptrace(struct check *c);

/* cpus.c */
void check_processors(struct check *c);

#endif /* WEFT_CHECK_H */
