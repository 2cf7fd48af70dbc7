/*
 * Deadlines of scopes. SCENARIOS 157, 158, 161 (TestLayersTimeout), 170.
 */
#include "chan_util.h"
#include "child.h"

static weft_scope *
scope_until(weft_scope *parent, int64_t deadline)
{
	weft_scope *s = weft_scope_new(parent, deadline);

	EXPECT(s != NULL);
	return s;
}

/* Waits for the scope's end, which must not come before its time. */
static void
expect_timeout_at(weft_scope *s, int64_t deadline)
{
	EXPECT_EQ(weft_chan_recv(weft_scope_done(s), NULL, weft_in(20 * SECOND)), 0);
	EXPECT(weft_now() >= deadline);
	EXPECT_EQ(weft_scope_err(s), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_cause(s), -ETIMEDOUT);
}

/* SCENARIOS 157, 170: too early cuts work off, never leaves it running. */
static void
deadline_fires(void)
{
	int64_t deadline = weft_in(10 * MS);
	weft_scope *s = scope_until(NULL, deadline);
	weft_scope *later = scope_until(s, deadline + 3600 * SECOND);
	weft_scope *never = scope_until(s, WEFT_FOREVER);

	if (weft_now() < deadline - 5 * MS)
		EXPECT_EQ(weft_scope_err(s), 0);
	expect_timeout_at(s, deadline);
	/* A child's deadline can't be later than its parent's. */
	EXPECT_EQ(weft_scope_err(later), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_err(never), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_cause(never), -ETIMEDOUT);
	weft_scope_free(never);
	weft_scope_free(later);
	weft_scope_free(s);
}

TEST(a_deadline_cancels_at_its_time)
{
	on_1_2_4_procs(deadline_fires);
}

static int
never_called(void *arg)
{
	(void)arg;
	FAIL("a goroutine was started in a scope whose deadline is past");
}

/* SCENARIOS 157. */
TEST(a_past_deadline_is_done_at_once)
{
	const int64_t past[] = { WEFT_NOW, 1, -1, INT64_MIN, weft_now() };

	for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
		weft_scope *s = scope_until(NULL, past[i]);
		weft_scope *child = scope_until(s, WEFT_FOREVER);

		EXPECT_EQ(weft_scope_err(s), -ETIMEDOUT);
		EXPECT_EQ(weft_scope_cause(s), -ETIMEDOUT);
		EXPECT_EQ(weft_scope_err(child), -ETIMEDOUT);
		EXPECT_EQ(weft_chan_recv(weft_scope_done(s), NULL, WEFT_NOW), 0);
		EXPECT_EQ(weft_scope_go(s, never_called, NULL), -ECANCELED);
		weft_scope_cancel(s, -EIO);
		EXPECT_EQ(weft_scope_cause(s), -ETIMEDOUT);
		weft_scope_free(child);
		weft_scope_free(s);
	}
}

/* SCENARIOS 157: of nested deadlines the earlier one counts, whichever way they are nested. */
TEST(the_earlier_of_nested_deadlines_wins)
{
	int64_t soon = weft_in(5 * MS);
	weft_scope *outer = scope_until(NULL, weft_in(3600 * SECOND));
	weft_scope *middle = scope_until(outer, WEFT_FOREVER);
	weft_scope *inner = scope_until(middle, soon);

	expect_timeout_at(inner, soon);
	EXPECT_EQ(weft_scope_err(middle), 0);
	EXPECT_EQ(weft_scope_err(outer), 0);
	weft_scope_free(inner);
	weft_scope_free(middle);
	weft_scope_free(outer);

	soon = weft_in(5 * MS);
	outer = scope_until(NULL, soon);
	middle = scope_until(outer, WEFT_FOREVER);
	inner = scope_until(middle, weft_in(3600 * SECOND));
	expect_timeout_at(inner, soon);
	EXPECT_EQ(weft_scope_err(outer), -ETIMEDOUT);
	weft_scope_free(inner);
	weft_scope_free(middle);
	weft_scope_free(outer);
}

/* SCENARIOS 158. The late firing must not change what the cancel said. */
TEST(a_cancel_before_the_deadline_stays)
{
	int64_t deadline = weft_in(5 * MS);
	weft_scope *s = scope_until(NULL, deadline);
	weft_scope *below = scope_until(s, deadline - 1 * MS);

	weft_scope_cancel(s, -EIO);
	if (weft_scope_cause(s) == -EIO) {
		EXPECT_EQ(weft_sleep(10 * MS), 0);
		EXPECT_EQ(weft_scope_err(s), -ECANCELED);
		EXPECT_EQ(weft_scope_cause(s), -EIO);
		EXPECT(weft_scope_cause(below) == -EIO || weft_scope_cause(below) == -ETIMEDOUT);
	} else {
		EXPECT(weft_now() >= deadline);		/* a slow machine: that is right, too */
	}
	weft_scope_free(below);
	weft_scope_free(s);
}

static void
cancel_then_sleep(void *arg)
{
	weft_scope *s = scope_until(NULL, weft_in(3600 * SECOND));
	weft_scope *below = scope_until(s, weft_in(1800 * SECOND));

	(void)arg;
	weft_scope_cancel(s, -EIO);
	EXPECT_EQ(weft_scope_err(below), -ECANCELED);
	weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

/*
 * SCENARIOS 158: the timer goes with the cancel, not with the memory, and so do those below. Were
 * one left, it would wake an idle process for nothing, and this would be no deadlock.
 */
TEST(a_cancelled_scope_has_no_timer)
{
	struct child_result r = child_run(cancel_then_sleep, NULL);

	EXPECT_CONTAINS(r.err, "fatal error: all goroutines are asleep - deadlock!");
	EXPECT_EQ(r.status, 2);
	child_result_free(&r);
}

static int
wait_for_ever(void *arg)
{
	(void)arg;
	return weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

static int
sleep_an_hour(void *arg)
{
	(void)arg;
	return weft_sleep(3600 * SECOND);
}

/* False: the deadline came before all had been started. */
static bool
deadline_ends_100_waits(int64_t ns)
{
	int64_t deadline = weft_in(ns);
	weft_scope *s = scope_until(NULL, deadline);
	weft_scope *child = scope_until(s, WEFT_FOREVER);
	int started = 0;

	for (int i = 0; i < 100; i++) {
		int r = weft_scope_go(i % 2 != 0 ? s : child,
		    i % 3 != 0 ? wait_for_ever : sleep_an_hour, NULL);

		EXPECT(r == 0 || (r == -ECANCELED && weft_now() >= deadline));
		started += r == 0;
	}
	if (started == 100) {
		EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), -ECANCELED);
		EXPECT_EQ(weft_scope_wait(child, WEFT_FOREVER), -ECANCELED);
		EXPECT(weft_now() >= deadline);
		EXPECT_EQ(weft_scope_err(s), -ETIMEDOUT);
	}
	weft_scope_free(child);
	weft_scope_free(s);
	return started == 100;
}

/* What deadlines are for: work that hangs is let go, all of it, and the waiter with it. */
static void
deadline_ends_waits(void)
{
	for (int64_t ns = 5 * MS; !deadline_ends_100_waits(ns);)
		ns *= 2;
}

TEST(a_deadline_ends_the_waits_below_it)
{
	on_1_2_4_procs(deadline_ends_waits);
}

/*
 * Scopes with deadlines that fire while they are cancelled and freed: the firing of a timer must
 * be over before the memory goes.
 */
static void
deadline_meets_free(void)
{
	uint64_t seed = test_seed();

	for (int i = 0; i < scaled(3000); i++) {
		weft_scope *s = scope_until(NULL, weft_in((int64_t)(test_rand(&seed) % 100) * US));
		weft_scope *child = scope_until(s, weft_in((int64_t)(test_rand(&seed) % 100) * US));

		weft_scope_go(child, wait_for_ever, NULL);
		if (test_rand(&seed) % 2 != 0)
			weft_sleep((int64_t)(test_rand(&seed) % 50) * US);
		if (test_rand(&seed) % 4 == 0)
			weft_scope_cancel(s, -EIO);
		weft_scope_free(child);
		EXPECT(weft_scope_err(s) != -ECANCELED || weft_scope_cause(s) == -EIO);
		weft_scope_free(s);
	}
}

TEST(deadlines_fire_while_scopes_are_freed)
{
	on_1_2_4_procs(deadline_meets_free);
}

/* SCENARIOS 161 (TestLayersTimeout): a deadline in the middle of 30 layers ends those below. */
TEST(layers_time_out_from_the_right_one_down)
{
	uint64_t seed = test_seed();

	for (int round = 0; round < 10; round++) {
		weft_scope *s[30];
		int at = (int)(test_rand(&seed) % 30);
		int64_t deadline = 0;

		for (int i = 0; i < 30; i++) {
			weft_scope *parent = i > 0 ? s[i - 1] : NULL;
			bool never = test_rand(&seed) % 2 != 0;
			int64_t when = never ? WEFT_FOREVER : weft_in(3600 * SECOND);

			if (i == at)
				when = deadline = weft_in(3 * MS);
			s[i] = scope_until(parent, when);
		}
		expect_timeout_at(s[29], deadline);
		for (int i = 0; i < 30; i++)
			EXPECT_EQ(weft_scope_err(s[i]), i < at ? 0 : -ETIMEDOUT);
		for (int i = 30; i-- > 0;)
			weft_scope_free(s[i]);
	}
}

/* The far end of time is no time: nothing overflows, nothing fires. */
TEST(distant_deadlines_do_not_fire)
{
	const int64_t far[] = { WEFT_FOREVER, WEFT_FOREVER - 1, weft_in(INT64_MAX),
		weft_in(INT64_MAX / 2) };
	weft_scope *s[4];

	for (int i = 0; i < 4; i++)
		s[i] = scope_until(NULL, far[i]);
	EXPECT_EQ(weft_sleep(5 * MS), 0);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(weft_scope_err(s[i]), 0);
		weft_scope_free(s[i]);
	}
}
