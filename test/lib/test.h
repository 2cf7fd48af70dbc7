/*
 * A test program: TEST(name) blocks, and what they check with.
 *
 *   TEST(closing_twice_panics)
 *   {
 *           EXPECT_EQ(answer(), 42);
 *   }
 *
 * `prog NAME` runs one test in this process, `prog` runs each in a process of its own,
 * `prog --list` names them. The build finds the tests by the text `TEST(` at column 0. A check
 * that fails prints where and what and ends the process with status 1, from whatever thread or
 * goroutine it stands in; 77 means that the machine lacks what the test needs. Usable from C and
 * C++. Knows nothing of weft.
 */
#ifndef WEFT_TEST_LIB_TEST_H
#define WEFT_TEST_LIB_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct test_case {
	const char *name;
	void (*fn)(void);
	struct test_case *next;
};

/* Called before main(), once per TEST, in the order of the file. */
void test_register(struct test_case *t);

/* Prints "file:line: message" and ends the process with status 1. */
__attribute__((noreturn, format(printf, 3, 4))) void test_fail(
    const char *file, int line, const char *fmt, ...);

/* Prints why and ends the process with status 77. */
__attribute__((noreturn, format(printf, 3, 4))) void test_skip(
    const char *file, int line, const char *fmt, ...);

void test_expect_eq(
    const char *file, int line, const char *a_text, const char *b_text, long long a, long long b);
void test_expect_str(const char *file, int line, const char *a_text, const char *b_text,
    const char *a, const char *b);

/*
 * Seed of this run: WEFT_SEED from the environment, else a random one. The first call prints it, so
 * that a failure can be replayed.
 */
uint64_t test_seed(void);

/* Next number of a sequence that starts with *state = test_seed(). */
uint64_t test_rand(uint64_t *state);

/* 1 in a plain build, more under a sanitizer: multiply time limits and divide sizes by it. */
int test_scale(void);

/* After a call that must not be the function's last: a frame that a jump replaces is not shown. */
#define KEEP_FRAME() __asm__ volatile("")

/* Is this program built with ThreadSanitizer? */
#if defined(__SANITIZE_THREAD__)
#define TEST_HAS_TSAN true
#elif defined(__has_feature)
#define TEST_HAS_TSAN __has_feature(thread_sanitizer)
#else
#define TEST_HAS_TSAN false
#endif

#define TEST(name) \
	static void test_fn_##name(void); \
	static struct test_case test_case_##name = {#name, test_fn_##name, NULL}; \
	__attribute__((constructor)) static void test_register_##name(void) \
	{ \
		test_register(&test_case_##name); \
	} \
	static void test_fn_##name(void)

#define EXPECT(cond) \
	do { \
		if (!(cond)) \
			test_fail(__FILE__, __LINE__, "expected %s", #cond); \
	} while (0)

#define EXPECT_EQ(a, b) \
	test_expect_eq(__FILE__, __LINE__, #a, #b, (long long)(a), (long long)(b))

#define EXPECT_STR(a, b) test_expect_str(__FILE__, __LINE__, #a, #b, (a), (b))

/* The text `part` stands somewhere in `text`; else both are printed. */
#define EXPECT_CONTAINS(text, part) \
	test_expect_contains(__FILE__, __LINE__, #text, #part, (text), (part))
void test_expect_contains(const char *file, int line, const char *text_text, const char *part_text,
    const char *text, const char *part);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__FILE__, __LINE__, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif /* WEFT_TEST_LIB_TEST_H */
