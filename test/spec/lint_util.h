/*
 * For the tests of lints (lint.c, lint_watch.c): a child that runs with them, and its reports.
 */
#ifndef WEFT_TEST_SPEC_LINT_UTIL_H
#define WEFT_TEST_SPEC_LINT_UTIL_H

#include <weft.h>

#include "child.h"
#include "test.h"

#include <string.h>

#define MS ((int64_t)1000000)
#define LINT "weft: lint: "
#define COMPUTES " has computed for 10 ms without a scheduling point\n"

static const char *const linted[] = { "WEFT_DEBUG=lint=1", "WEFT_MAXPROCS=2", NULL };

static const struct child_options with_lints = { .env = linted, .limit_ms = 120000 };

static inline int
occurrences(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/*
 * So many reports are in the text. Those of who computes do not count: a virtual processor that is
 * not run for a while has its threads charged for the time, wherever they are.
 */
static inline void
expect_lints(const char *text, int wanted)
{
	int n = occurrences(text, LINT) - occurrences(text, COMPUTES);

	if (n != wanted)
		FAIL("%d reports, not %d:\n%s", n, wanted, text);
}

static inline void
go_named(const char *name, void (*fn)(void *), void *arg)
{
	weft_go_options o = { .size = sizeof(o), .name = name };

	EXPECT_EQ(weft_go_with(&o, fn, arg), 0);
}

#endif /* WEFT_TEST_SPEC_LINT_UTIL_H */
