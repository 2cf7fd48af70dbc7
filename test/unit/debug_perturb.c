/*
 * WEFT_PERTURB changes the order of what has no order, and says how. If one of these fails, the
 * nightly runs under it find what the ordinary ones find.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 200, GOROUTINES = 5 };

static char order[GOROUTINES + 1];
static int arrived;

static void
arrive(void *arg)
{
	order[arrived++] = (char)('a' + (int)(intptr_t)arg);
}

/* On one processor, so nothing but the run queue decides. How many different orders there were. */
static void
count_orders(void *arg)
{
	static char seen[ROUNDS][sizeof(order)];
	int n = 0;

	(void)arg;
	for (int round = 0; round < ROUNDS; round++) {
		weft_waitgroup all = {0};
		bool is_new = true;

		arrived = 0;
		for (int i = 0; i < GOROUTINES; i++)
			EXPECT_EQ(weft_waitgroup_go(&all, arrive, (void *)(intptr_t)i), 0);
		EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
		for (int i = 0; i < n; i++)
			is_new = is_new && strcmp(seen[i], order) != 0;
		if (is_new)
			memcpy(seen[n++], order, sizeof(order));
	}
	printf("%d orders\n", n);
}

static struct child_result
run_with(const char *perturb)
{
	const char *const env[] = {"WEFT_MAXPROCS=1", perturb, NULL};
	const struct child_options o = {.env = env};
	struct child_result r = child_run_with(&o, count_orders, NULL);

	if (r.status != 0)
		FAIL("%s: %s", perturb, r.err);
	return r;
}

TEST(the_order_of_goroutines_differs_from_round_to_round)
{
	struct child_result r;

#ifndef WEFT_DEBUG_BUILD
	SKIP("WEFT_PERTURB is in debug builds only");
#endif
	r = run_with("WEFT_PERTURB=4711");
	EXPECT_CONTAINS(r.err, "weft: WEFT_PERTURB=4711\n");
	EXPECT(atoi(r.out) > 3);
	child_result_free(&r);
}

/* The seed of a run that nobody chose is said, so that it can be chosen. */
TEST(a_seed_is_made_when_none_is_given)
{
	struct child_result r;

#ifndef WEFT_DEBUG_BUILD
	SKIP("WEFT_PERTURB is in debug builds only");
#endif
	r = run_with("WEFT_PERTURB=0");
	EXPECT_CONTAINS(r.err, "weft: WEFT_PERTURB=");
	EXPECT(strtoull(strchr(r.err, '=') + 1, NULL, 10) > 1000);
	child_result_free(&r);
}

/* Without it nothing of the kind happens: programs get used to the order, and are right to. */
TEST(without_it_the_order_stays)
{
	struct child_result r = run_with("WEFT_PERTURB");

	EXPECT_STR(r.err, "");
	child_result_free(&r);
}
