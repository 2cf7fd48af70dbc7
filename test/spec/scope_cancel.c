/*
 * Cancelling: what it reaches in a tree of scopes. SCENARIOS 154, 155, 161. What it ends is in
 * scope_waits.c, races are in scope_race.c.
 */
#include "scope_util.h"

#include <pthread.h>

/* SCENARIOS 154. */
TEST(cancel_closes_done_and_is_remembered)
{
	weft_scope *s = scope_make(NULL);
	weft_chan *done = weft_scope_done(s);

	expect_live(s);
	weft_scope_cancel(s, -EIO);
	EXPECT(is_closed(done));
	EXPECT(weft_scope_done(s) == done);
	expect_cancelled(s, -EIO);
	weft_scope_cancel(s, -EPIPE);
	expect_cancelled(s, -EIO);
	weft_scope_free(s);

	/* Without a cause the error is the cause. Done that is asked for late is closed already. */
	s = scope_make(NULL);
	weft_scope_cancel(s, 0);
	expect_cancelled(s, -ECANCELED);
	weft_scope_free(s);
}

/* SCENARIOS 155. A descendant that lived on would work for a request that is gone. */
static void
cancel_reaches_descendants(void)
{
	weft_scope *top = scope_make(NULL);
	weft_scope *s[40];

	/* A tree with branches of all depths: the parent of i is i / 3 or the top. */
	for (int i = 0; i < 40; i++)
		s[i] = scope_make(i < 3 ? top : s[i / 3]);
	for (int i = 0; i < 40; i += 2)
		weft_scope_done(s[i]);

	weft_scope_cancel(s[4], -EIO);
	for (int i = 0; i < 40; i++) {
		int at = i;

		while (at > 4)
			at = at / 3;
		if (at == 4)
			expect_cancelled(s[i], -EIO);
		else
			expect_live(s[i]);
	}
	expect_live(top);
	weft_scope_cancel(top, -EPIPE);
	for (int i = 0; i < 40; i++)
		EXPECT_EQ(weft_scope_err(s[i]), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(s[0]), -EPIPE);
	EXPECT_EQ(weft_scope_cause(s[4]), -EIO);
	for (int i = 40; i-- > 0;)
		weft_scope_free(s[i]);
	weft_scope_free(top);
}

TEST(cancel_reaches_every_descendant_before_it_returns)
{
	on_1_2_4_procs(cancel_reaches_descendants);
}

/* A walk that recursed would overflow the stack of a goroutine. */
TEST(a_very_deep_tree_can_be_cancelled)
{
	enum { DEPTH = 20000 };
	weft_scope **s = calloc(DEPTH, sizeof(*s));

	EXPECT(s != NULL);
	for (int i = 0; i < DEPTH; i++)
		s[i] = scope_make(i > 0 ? s[i - 1] : NULL);
	weft_scope_cancel(s[1], -EIO);
	EXPECT_EQ(weft_scope_err(s[0]), 0);
	EXPECT_EQ(weft_scope_cause(s[DEPTH - 1]), -EIO);
	for (int i = DEPTH; i-- > 0;)
		weft_scope_free(s[i]);
	free(s);
}

/* A child that is freed must be forgotten by its parent, wherever it stands among its siblings. */
TEST(a_freed_child_is_forgotten)
{
	weft_scope *top = scope_make(NULL);
	weft_scope *s[5];

	for (int round = 0; round < 120; round++) {
		int order[5] = { 0, 1, 2, 3, 4 };
		int code = round;

		for (int i = 0; i < 5; i++)
			s[i] = scope_make(top);
		for (int i = 4; i > 0; i--) {
			int at = code % (i + 1), moved = order[at];

			code /= i + 1;
			order[at] = order[i];
			order[i] = moved;
		}
		for (int i = 0; i < 5; i++)
			weft_scope_free(s[order[i]]);
	}
	s[0] = scope_make(top);
	weft_scope_cancel(top, -EIO);
	expect_cancelled(s[0], -EIO);
	weft_scope_free(s[0]);
	weft_scope_free(top);
}

/* SCENARIOS 161 (TestLayersCancel): 30 layers, cancelled in the middle; the right half is done. */
static void
layers(void)
{
	uint64_t seed = test_seed();

	for (int round = 0; round < scaled(50); round++) {
		weft_scope *s[30];
		int at = (int)(test_rand(&seed) % 30);

		for (int i = 0; i < 30; i++) {
			weft_scope *parent = i > 0 ? s[i - 1] : NULL;

			/* Some with a deadline that never comes into it, some with values. */
			if (test_rand(&seed) % 2 != 0)
				s[i] = weft_scope_new(parent, weft_in(3600 * SECOND));
			else
				s[i] = scope_make(parent);
			EXPECT(s[i] != NULL);
			if (test_rand(&seed) % 2 != 0)
				EXPECT_EQ(weft_scope_set(s[i], &seed, s[i]), 0);
			if (test_rand(&seed) % 2 != 0)
				weft_scope_done(s[i]);
		}
		for (int i = 0; i < 30; i++)
			EXPECT_EQ(weft_scope_err(s[i]), 0);
		weft_scope_cancel(s[at], -EIO);
		for (int i = 0; i < 30; i++) {
			if (i < at)
				expect_live(s[i]);
			else
				expect_cancelled(s[i], -EIO);
		}
		for (int i = 30; i-- > 0;)
			weft_scope_free(s[i]);
	}
}

TEST(layers_are_cancelled_from_the_right_one_down)
{
	layers();
}

static void *
cancel_from_thread(void *arg)
{
	weft_scope_cancel(arg, -EINTR);
	return NULL;
}

/* A thread that weft did not start can cancel, as a signal-handling thread would. */
TEST(a_foreign_thread_can_cancel)
{
	weft_scope *s = scope_make(NULL);
	pthread_t thread;

	scope_go(s, wait_for_close, NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, cancel_from_thread, s), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	expect_cancelled(s, -EINTR);
	weft_scope_free(s);
}

static void
cancel_with(void *cause)
{
	weft_scope *s = scope_make(NULL);

	weft_scope_cancel(s, (int)(intptr_t)cause);
}

/* errno itself instead of its negative would be told to everybody below as a success. */
TEST(a_positive_cause_panics)
{
	char msg[128] = "";

	EXPECT_EQ(weft_try(cancel_with, (void *)(intptr_t)EIO, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_cancel: cause is 5, must be a negative errno or 0");
	EXPECT_EQ(weft_try(cancel_with, (void *)(intptr_t)-EIO, msg, sizeof(msg)), 0);
}
