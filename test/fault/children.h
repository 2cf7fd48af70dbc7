/*
 * For what a process does once: each call of the system fails once, in a child of its own.
 */
#ifndef WEFT_TEST_FAULT_CHILDREN_H
#define WEFT_TEST_FAULT_CHILDREN_H

#include "child.h"
#include "inject.h"
#include "test.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct child_faults {
	void (*fn)(void *);		/* calls inject_in_child(arg) first, child_is_done() last */
	const char *functions;		/* that fail, separated by spaces; NULL: all of os.h */
	const char *const *env;		/* as in child_options, or NULL */
	/* May it end so when this function fails? NULL: never. */
	bool (*may_end)(const char *function, const char *said);
};

enum { CHILDREN_MAX = 100 };

static inline void
inject_in_child(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	inject_arm(inject_name((int)(n >> 16)), n >> 8 & 0xff, n & 0xff);
}

static inline void
child_is_done(void)
{
	printf("%d calls\n", inject_disarm());
}

/* How many calls there were, or -1: the program has ended, as it may. */
static inline int
refuse_child(const struct child_faults *f, int i, int way, int k)
{
	uintptr_t n = (uintptr_t)i << 16 | (uintptr_t)way << 8 | (uintptr_t)k;
	struct child_options o = {.env = f->env};
	struct child_result r = child_run_with(&o, f->fn, (void *)n);
	int calls = r.status == 0 ? atoi(r.out) : -1;

	if (r.status != 0 &&
	    (r.status != 2 || f->may_end == NULL || !f->may_end(inject_name(i), r.err)))
		FAIL("%s, call %d: status %d, signal %d: %s", inject_name(i), k, r.status, r.signal,
		    r.err);
	child_result_free(&r);
	return calls;
}

/* The first call, the second, ... How many there were. */
static inline int
refuse_until_clean(const struct child_faults *f, int i, int way)
{
	int k = 0, calls;

	do
		calls = refuse_child(f, i, way, ++k);
	while ((calls < 0 || calls >= k) && k < CHILDREN_MAX);
	return k - 1;
}

/* How many calls were refused. Each of f->functions must have been called. */
static inline int
refuse_in_children(const struct child_faults *f)
{
	int refused = 0;

	for (int i = 0; inject_name(i) != NULL; i++) {
		if (f->functions != NULL ? !inject_is_one_of(inject_name(i), f->functions)
		    : strchr(inject_name(i), '(') != NULL)
			continue;
		for (int way = 0; inject_has(i, way); way++) {
			int n = refuse_until_clean(f, i, way);

			refused += n;
			if (n == 0 && f->functions != NULL)
				FAIL("no %s was refused", inject_name(i));
			if (n == 0)
				break;	/* nobody calls it here */
			if (getenv("WEFT_FAULT_TELL") != NULL)
				fprintf(stderr, "%s: %d\n", inject_name(i), n);
		}
	}
	return refused;
}

#endif /* WEFT_TEST_FAULT_CHILDREN_H */
