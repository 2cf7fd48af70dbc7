/*
 * main() of every test program, and what the macros of test.h call.
 */
#include "test.h"

#include "child.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	STATUS_FAIL = 1,
	STATUS_USAGE = 64,
	STATUS_SKIP = 77,
};

static struct test_case *first, **last = &first;

void
test_register(struct test_case *t)
{
	*last = t;
	last = &t->next;
}

/* One write, so that lines of several threads do not mix. _exit: other goroutines still run. */
static void __attribute__((noreturn, format(printf, 5, 0)))
finish(int status, const char *word, const char *file, int line, const char *fmt, va_list ap)
{
	char text[4096];
	int at = snprintf(text, sizeof(text), "%s:%d: %s", file, line, word);
	int more = vsnprintf(text + at, sizeof(text) - (size_t)at - 1, fmt, ap);
	size_t end;

	at += more < 0 ? 0 : more;
	end = at < (int)sizeof(text) - 2 ? (size_t)at : sizeof(text) - 2;
	text[end] = '\n';
	fflush(NULL);
	if (write(STDERR_FILENO, text, end + 1) < 0)
		_exit(STATUS_FAIL);
	_exit(status);
}

void
test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(STATUS_FAIL, "", file, line, fmt, ap);
}

void
test_skip(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(STATUS_SKIP, "skipped: ", file, line, fmt, ap);
}

void
test_expect_eq(
    const char *file, int line, const char *a_text, const char *b_text, long long a, long long b)
{
	if (a != b)
		test_fail(file, line, "expected %s == %s, got %lld and %lld", a_text, b_text, a, b);
}

void
test_expect_str(const char *file, int line, const char *a_text, const char *b_text, const char *a,
    const char *b)
{
	if (a == NULL || b == NULL || strcmp(a, b) != 0)
		test_fail(file, line, "expected %s == %s, got \"%s\" and \"%s\"", a_text, b_text,
		    a == NULL ? "(null)" : a, b == NULL ? "(null)" : b);
}

void
test_expect_contains(const char *file, int line, const char *text_text, const char *part_text,
    const char *text, const char *part)
{
	if (text == NULL || strstr(text, part) == NULL)
		test_fail(file, line, "expected %s to contain %s (\"%s\"), it is \"%s\"", text_text,
		    part_text, part, text == NULL ? "(null)" : text);
}

static uint64_t seed;

static void __attribute__((constructor))
choose_seed(void)
{
	const char *text = getenv("WEFT_SEED");

	if (text != NULL && *text != '\0')
		seed = strtoull(text, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		seed = (uint64_t)getpid();
}

uint64_t
test_seed(void)
{
	fprintf(stderr, "WEFT_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* splitmix64: any seed will do, 0 too. */
uint64_t
test_rand(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int
test_scale(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	return 4;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
	return 4;
#endif
#endif
	return 1;
}

static const struct test_case *
find(const char *name)
{
	for (const struct test_case *t = first; t != NULL; t = t->next) {
		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

/* Each in a process of its own, since many end it or change its limits. */
static int
run_all(void)
{
	int passed = 0, failed = 0, skipped = 0;

	for (const struct test_case *t = first; t != NULL; t = t->next) {
		struct child_result r = child_run_test(t->name, 60000 * test_scale());
		const char *verdict = "ok";

		if (r.status == STATUS_SKIP) {
			verdict = "skipped";
			skipped++;
		} else if (r.status != 0) {
			verdict = r.timed_out ? "TIMED OUT" : "FAILED";
			failed++;
		} else {
			passed++;
		}
		printf("%s %s", verdict, t->name);
		if (r.signal != 0)
			printf(" (signal %d)", r.signal);
		printf("\n");
		fflush(stdout);
		child_result_free(&r);
	}
	if (skipped > 0)
		printf("%d skipped\n", skipped);
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0 ? STATUS_FAIL : 0;
}

int
main(int argc, char **argv)
{
	const struct test_case *t;

	if (argc == 1)
		return run_all();
	if (strcmp(argv[1], "--child") == 0)
		child_main(argc, argv);
	if (strcmp(argv[1], "--list") == 0) {
		for (t = first; t != NULL; t = t->next)
			printf("%s\n", t->name);
		return 0;
	}
	t = find(argv[1]);
	if (argc != 2 || t == NULL) {
		fprintf(stderr, "usage: %s [--list | TEST]\n", argv[0]);
		return STATUS_USAGE;
	}
	t->fn();
	return 0;
}
