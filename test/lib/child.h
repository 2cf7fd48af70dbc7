/*
 * Runs a function of this test program in a fresh process of its own, made by exec: for tests in
 * which the process is expected to die, that need an environment of their own, or that must be
 * the first to call the library. Call from a test, not from inside another child.
 *
 *   static void close_nil(void *arg) { weft_chan_close(NULL); }
 *   struct child_result r = child_run(close_nil, NULL);
 *   EXPECT_EQ(r.status, 2);
 *   EXPECT_CONTAINS(r.err, "close of nil channel");
 *   child_result_free(&r);
 */
#ifndef WEFT_TEST_LIB_CHILD_H
#define WEFT_TEST_LIB_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is kept of each output stream; the rest is read and dropped. */
#define CHILD_OUTPUT_MAX (1024 * 1024)

struct child_options {			/* zero = defaults */
	const char *const *env;		/* "NAME=value" or "NAME" (removes it), then NULL */
	int limit_ms;			/* then it is killed; 0 = 20 s, times test_scale() */
	bool no_capture;		/* the child shares our stdout and stderr */
};

struct child_result {
	int status;		/* exit status; -1 when a signal ended it */
	int signal;		/* the signal that ended it, else 0 */
	bool timed_out;		/* the limit passed and it was killed (signal is SIGKILL) */
	char *out, *err;	/* what it wrote, each with a NUL at the end; never NULL */
	size_t out_len, err_len;
};

/*
 * fn runs in the child, on its main thread, then the child exits with 0. fn is a function of the
 * test program. arg is NULL, an integer below 2^32 cast to a pointer, or the address of something
 * static in the test program (a string literal, a const table): the child gets the address of its
 * own, fresh copy. Anything else fails the test.
 */
struct child_result child_run(void (*fn)(void *), void *arg);
struct child_result child_run_with(const struct child_options *o, void (*fn)(void *), void *arg);
void child_result_free(struct child_result *r);

/* The same in steps, for a child that is spoken to while it runs. One thread at a time. */
struct child;
struct child *child_start(const struct child_options *o, void (*fn)(void *), void *arg);
/* Waits until the child has written `text` to stdout or stderr, or fails the test. */
void child_await(struct child *c, const char *text);
void child_kill(struct child *c, int sig);
pid_t child_pid(const struct child *c);
struct child_result child_wait(struct child *c);	/* waits for the end and frees c */

/* For test_main.c: runs the function that the arguments after --child name. Does not return. */
__attribute__((noreturn)) void child_main(int argc, char **argv);
/* For test_main.c: runs this program again for one test. */
struct child_result child_run_test(const char *name, int limit_ms);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_TEST_LIB_CHILD_H */
