/*
 * The start, in a process of its own each time, while each call of the system fails once. If this
 * fails, a program does not begin, or dies without a word, where it could do without something.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include "child.h"
#include "inject.h"
#include "test.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 100 };

static void
begin_with(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	inject_arm(inject_name((int)(n >> 16)), n >> 8 & 0xff, n & 0xff);
	threads();
	printf("%d calls\n", inject_disarm());
}

/*
 * What the start cannot do without. Else there is no runtime that could say so to somebody: the
 * program ends, and says why.
 */
static bool
may_end(const char *function, const char *said)
{
	static const char *const needed[] = {"map", "malloc", "aligned_alloc", "calloc", "eventfd",
	    "epoll_create", "epoll_ctl"};

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (strcmp(function, needed[i]) == 0)
			return strstr(said, "fatal error: ") != NULL;
	return false;
}

/* How many calls there were, or -1: the program has ended, as it may. */
static int
begin_refused(int i, int way, int k)
{
	uintptr_t n = (uintptr_t)i << 16 | (uintptr_t)way << 8 | (uintptr_t)k;
	struct child_result r = child_run(begin_with, (void *)n);
	int calls = r.status == 0 ? atoi(r.out) : -1;

	if (r.status != 0 && (r.status != 2 || !may_end(inject_name(i), r.err)))
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	child_result_free(&r);
	return calls;
}

/* The first call, the second, ... How many there were. */
static int
refuse_until_clean(int i, int way)
{
	int k = 0, calls;

	do
		calls = begin_refused(i, way, ++k);
	while ((calls < 0 || calls >= k) && k < CALLS_MAX);
	return k - 1;
}

TEST(a_program_begins_after_any_failure)
{
	int refused = 0;

	for (int i = 0; inject_name(i) != NULL; i++) {
		for (int way = 0; inject_has(i, way); way++) {
			int n = refuse_until_clean(i, way);

			refused += n;
			if (n == 0)
				break;	/* nobody calls it here */
			if (getenv("WEFT_FAULT_TELL") != NULL)
				fprintf(stderr, "%s: %d\n", inject_name(i), n);
		}
	}
	EXPECT(refused > 20);
}
