/*
 * With a deadline in the past nothing waits, not even for a moment: an event loop, or a goroutine
 * that must not give up its processor between two steps, asks with WEFT_NOW.
 */
#include "sync_util.h"

struct asked {
	weft_mutex m;
	weft_cond c;
	weft_waitgroup wg;
	weft_sem s;
	_Atomic bool other_ran;
};

static void
run_other(void *p)
{
	struct asked *a = p;

	atomic_store(&a->other_ran, true);
}

static int
ask_mutex(struct asked *a)
{
	return weft_mutex_lock_until(&a->m, WEFT_NOW);
}

static int
ask_waitgroup(struct asked *a)
{
	return weft_waitgroup_wait(&a->wg, WEFT_NOW);
}

static int
ask_sem(struct asked *a)
{
	return weft_sem_acquire(&a->s, 1, WEFT_NOW);
}

static int
ask_too_much(struct asked *a)
{
	return weft_sem_acquire(&a->s, 5, WEFT_NOW);
}

/* The mutex is held here, so that waiting on the cond neither wakes nor waits for anybody. */
static int
ask_cond(struct asked *a)
{
	return weft_cond_wait(&a->c, &a->m, WEFT_NOW);
}

/*
 * On one processor another goroutine is ready to run. It runs when we wait, and not before: unless
 * the monitor takes our processor away, which it does to one that was stalled for long. So the
 * first of a few tries that shows it will do.
 */
static void
expect_no_wait(int (*ask)(struct asked *))
{
	int waited = 0;

	weft_gomaxprocs(1);
	do {
		struct asked a = { .other_ran = false };

		weft_sem_init(&a.s, 1);
		EXPECT(weft_sem_tryacquire(&a.s, 1));
		weft_mutex_lock(&a.m);
		weft_waitgroup_add(&a.wg, 1);
		go(run_other, &a);
		EXPECT_EQ(ask(&a), -ETIMEDOUT);
		waited = atomic_load(&a.other_ran) ? waited + 1 : 0;
		while (!atomic_load(&a.other_ran))
			weft_yield();
	} while (waited > 0 && waited < 20);
	EXPECT_EQ(waited, 0);
}

TEST(nothing_waits_with_a_deadline_of_now)
{
	expect_no_wait(ask_mutex);
	expect_no_wait(ask_waitgroup);
	expect_no_wait(ask_sem);
	expect_no_wait(ask_too_much);
	expect_no_wait(ask_cond);
}
