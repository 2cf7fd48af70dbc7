/*
 * A scope with a limit: a pool of workers.
 */
#include "child.h"
#include "scope_util.h"

struct pool {
	weft_scope *s;
	int64_t limit;
	_Atomic int inside, most, ran, ended;
	weft_chan *gate;
};

static int
count_inside(void *arg)
{
	struct pool *p = arg;
	int now = atomic_fetch_add(&p->inside, 1) + 1;
	int most = atomic_load(&p->most);

	while (most < now && !atomic_compare_exchange_weak(&p->most, &most, now))
		continue;
	EXPECT(now <= p->limit);
	if (now % 2 != 0)
		weft_yield();
	if (now % 3 == 0)
		weft_sleep(20 * US);
	atomic_fetch_sub(&p->inside, 1);
	atomic_fetch_add(&p->ran, 1);
	return 0;
}

static void
start_some(void *arg)
{
	struct pool *p = arg;

	for (int i = 0; i < 50; i++) {
		if (i % 4 == 0) {
			/* A deadline that passes while it waits for a place must not lose one. */
			int r = weft_scope_go_until(p->s, count_inside, p, weft_in(i * US));

			EXPECT(r == 0 || r == -ETIMEDOUT);
			if (r == 0)
				continue;
		}
		scope_go(p->s, count_inside, p);
	}
	atomic_fetch_add(&p->ended, 1);
}

static void
never_more(void)
{
	for (int limit = 1; limit <= 10; limit += 3) {
		struct pool p = { .s = scope_make(NULL), .limit = limit };

		weft_scope_set_limit(p.s, limit);
		for (int i = 0; i < 6; i++)
			go(start_some, &p);
		await_count(&p.ended, 6);
		EXPECT_EQ(weft_scope_wait(p.s, WEFT_FOREVER), 0);
		EXPECT_EQ(p.ran, 300);
		EXPECT(p.most <= limit);
		EXPECT_EQ(p.inside, 0);
		weft_scope_free(p.s);
	}
}

/* SCENARIOS 264. More would be more files and memory than the program has. (TestGoLimit) */
TEST(never_more_than_the_limit_run)
{
	on_1_2_4_procs(never_more);
}

static int
wait_at_gate(void *arg)
{
	struct pool *p = arg;

	atomic_fetch_add(&p->inside, 1);
	return weft_chan_recv(p->gate, NULL, WEFT_FOREVER);
}

/* SCENARIOS 264. (TestTryGo) */
TEST(a_try_fails_at_the_limit)
{
	struct pool p = { .s = scope_make(NULL), .gate = chan_signal(0) };
	weft_scope *s = p.s;

	weft_scope_set_limit(s, 2);
	EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, WEFT_NOW), 0);
	EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, WEFT_NOW), 0);
	EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, weft_in(1 * MS)), -ETIMEDOUT);
	weft_chan_close(p.gate);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(p.inside, 2);
	EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, WEFT_NOW), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	/* Negative: no limit, as at first. */
	weft_scope_set_limit(s, -1);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(weft_scope_go_until(s, wait_at_gate, &p, WEFT_NOW), 0);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
	weft_chan_unref(p.gate);
}

static void
start_one(void *arg)
{
	struct pool *p = arg;
	int r = weft_scope_go(p->s, count_inside, p);

	EXPECT(r == 0 || r == -ECANCELED);
	atomic_fetch_add(&p->ended, r == 0 ? 1 : 1000);
}

static void
zero_then_more(void)
{
	struct pool p = { .s = scope_make(NULL), .limit = 3 };

	weft_scope_set_limit(p.s, 0);
	EXPECT_EQ(weft_scope_go_until(p.s, count_inside, &p, WEFT_NOW), -ETIMEDOUT);
	for (int i = 0; i < 9; i++)
		go(start_one, &p);
	weft_sleep(1 * MS);
	EXPECT_EQ(p.ran, 0);
	/* Nobody runs, so nothing is to be waited for. */
	EXPECT_EQ(weft_scope_wait(p.s, WEFT_NOW), 0);
	weft_scope_set_limit(p.s, 3);
	await_count(&p.ended, 9);
	EXPECT_EQ(weft_scope_wait(p.s, WEFT_FOREVER), 0);
	EXPECT_EQ(p.ran, 9);
	EXPECT(p.most <= 3);
	weft_scope_free(p.s);
}

/* SCENARIOS 264. */
TEST(a_limit_of_zero_blocks_all_until_it_is_raised)
{
	on_1_2_4_procs(zero_then_more);
}

/* Whoever waits for a place in a scope that is cancelled would wait for ever. */
static void
cancel_releases_starters(void)
{
	struct pool p = { .s = scope_make(NULL), .limit = 1, .gate = chan_signal(0) };

	weft_scope_set_limit(p.s, 1);
	scope_go(p.s, wait_at_gate, &p);
	for (int i = 0; i < 5; i++)
		go(start_one, &p);
	weft_sleep(1 * MS);
	EXPECT_EQ(p.ended, 0);
	weft_scope_cancel(p.s, -EIO);
	await_count(&p.ended, 5000);
	EXPECT_EQ(weft_scope_wait(p.s, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(p.ran, 0);
	weft_scope_free(p.s);
	weft_chan_unref(p.gate);
}

TEST(a_cancel_releases_those_who_wait_for_a_place)
{
	on_1_2_4_procs(cancel_releases_starters);
}

static int
start_from_within(void *arg)
{
	struct pool *p = arg;

	EXPECT_EQ(weft_scope_go(p->s, count_inside, p), -ECANCELED);
	atomic_fetch_add(&p->ended, 1);
	return 0;
}

/* The wait for a place is a wait like any other of the goroutine that waits. */
TEST(the_starters_own_scope_ends_its_wait)
{
	struct pool p = { .s = scope_make(NULL), .limit = 0 };
	weft_scope *own = scope_make(NULL);

	weft_scope_set_limit(p.s, 0);
	scope_go(own, start_from_within, &p);
	weft_sleep(1 * MS);
	EXPECT_EQ(p.ended, 0);
	weft_scope_cancel(own, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(own, WEFT_FOREVER), 0);
	EXPECT_EQ(p.ended, 1);
	weft_scope_free(own);
	weft_scope_free(p.s);
}

static void
change_limit(void *s)
{
	weft_scope_set_limit(s, 5);
}

/* SCENARIOS 264. What is counted would no longer be what is limited. (Go: panics too.) */
TEST(changing_the_limit_of_a_busy_scope_panics)
{
	struct pool p = { .s = scope_make(NULL), .gate = chan_signal(0) };
	char msg[128] = "";

	scope_go(p.s, wait_at_gate, &p);
	scope_go(p.s, wait_at_gate, &p);
	EXPECT_EQ(weft_try(change_limit, p.s, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_set_limit: modify limit while 2 goroutines in the scope are "
	    "still active");
	weft_scope_free(p.s);
	weft_chan_unref(p.gate);
}

static void
limit_root(void *unused)
{
	(void)unused;
	weft_scope_set_limit(NULL, 5);
}

TEST(the_root_has_no_limit)
{
	char msg[128] = "";

	EXPECT_EQ(weft_try(limit_root, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_scope_set_limit: nil scope");
}
