/*
 * The mutex from inside: the order of its queue, its two modes, and the windows of its protocol
 * held open (src/sync/README.md, "Mutex", M1-M9).
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "hold.h"
#include "sync/mutex.h"

#define US ((int64_t)1000)
#define MS ((int64_t)1000000)
/*
 * How long those wait that shall give up. On a slow machine that may be over before they were seen
 * in the queue: then they, or the whole game, begin again with four times as much.
 */
#define PATIENCE (100 * MS)
/* At what the scheduler does nearly always, unless the machine moves things about. */
#define TRIES 500

struct game {
	weft_mutex m;
	_Atomic int n_log;
	char log[64];			/* under m: who had it */
	_Atomic int ended;
};

struct player {
	struct game *game;
	char name;
	int64_t deadline;
	_Atomic int result;		/* + 1000, when it is known */
	unsigned seen;			/* the mutex's state while we had it */
};

static struct mutex *
inner(struct game *g)
{
	return (struct mutex *)(void *)&g->m;
}

/* Without its keeper: sync_keep.c tests that. */
static unsigned
state_of(struct game *g)
{
	return wf_load_acquire(&inner(g)->state) & (MUTEX_KEEPER - 1);
}

static int
queue_length(struct game *g)
{
	struct mutex *m = inner(g);
	int n = 0;

	wf_lock(&m->lock);
	for (struct waiter *w = m->waiters.head; w != NULL; w = w->next)
		n++;
	wf_unlock(&m->lock);
	return n;
}

static void
await_queue(struct game *g, int n)
{
	while (queue_length(g) != n)
		weft_yield();
}

static void
await_ended(struct game *g, int n)
{
	while (wf_load_acquire(&g->ended) != n)
		weft_yield();
}

/* Takes it, writes its name, gives it back. */
static void
play(void *p)
{
	struct player *me = p;
	struct game *g = me->game;
	int r = weft_mutex_lock_until(&g->m, me->deadline);

	wf_store_release(&me->result, r + 1000);
	if (r == 0) {
		int i = wf_add_relaxed(&g->n_log, 1);

		g->log[i] = me->name;
		me->seen = state_of(g);
		weft_mutex_unlock(&g->m);
	}
	wf_add_release(&g->ended, 1);
}

static void
start(struct player *p, struct game *g, char name, int64_t deadline)
{
	memset(p, 0, sizeof(*p));
	p->game = g;
	p->name = name;
	p->deadline = deadline;
	EXPECT_EQ(weft_go(play, p), 0);
}

/* Starts one that will give up, and has seen it in the queue, as the n-th there. */
static void
start_impatient(struct player *p, struct game *g, char name, int n)
{
	int ended = wf_load_acquire(&g->ended);

	for (int64_t patience = PATIENCE;; patience *= 4) {
		start(p, g, name, weft_in(patience));
		while (wf_load_acquire(&g->ended) == ended) {
			if (queue_length(g) == n)
				return;
			weft_yield();
		}
		wf_store_release(&g->ended, ended);
	}
}

static void
unlock_it(void *p)
{
	struct game *g = p;

	weft_mutex_unlock(&g->m);
	wf_add_release(&g->ended, 1);
}

static void
expect_pristine(struct game *g)
{
	EXPECT_EQ(state_of(g), 0);
	EXPECT(inner(g)->waiters.head == NULL);
	EXPECT_EQ(wf_load_relaxed(&inner(g)->lock.word), 0);
}

/* ---- Order ---- */

/* With nobody competing the queue is strict: the longest wait ends first. */
TEST(waiters_are_served_in_order)
{
	static const int procs[] = { 1, 2, 4 };

	for (int k = 0; k < 3; k++) {
		struct game g = { .n_log = 0 };
		struct player p[20];

		weft_gomaxprocs(procs[k]);
		weft_mutex_lock(&g.m);
		for (int i = 0; i < 20; i++) {
			start(&p[i], &g, (char)('a' + i), WEFT_FOREVER);
			await_queue(&g, i + 1);
		}
		EXPECT_EQ(state_of(&g), MUTEX_LOCKED | MUTEX_WAITERS);
		weft_mutex_unlock(&g.m);
		await_ended(&g, 20);
		EXPECT_STR(g.log, "abcdefghijklmnopqrst");
		expect_pristine(&g);
	}
}

/* False: somebody gave up before all had queued. */
static bool
some_give_up(int64_t patience)
{
	struct game g = { .n_log = 0 };
	struct player p[8];		/* a, d and h are impatient */
	bool is_good = true;

	weft_mutex_lock(&g.m);
	for (int i = 0; i < 8; i++) {
		bool is_patient = i != 0 && i != 3 && i != 7;

		start(&p[i], &g, (char)('a' + i), is_patient ? WEFT_FOREVER : weft_in(patience));
		while (is_good && queue_length(&g) != i + 1) {
			weft_yield();
			is_good = wf_load_acquire(&g.ended) == 0;
		}
	}
	if (is_good) {
		await_ended(&g, 3);
		EXPECT_EQ(queue_length(&g), 5);
		for (int i = 0; i < 8; i++) {
			if (i == 0 || i == 3 || i == 7)
				EXPECT_EQ(p[i].result, 1000 - ETIMEDOUT);
		}
	}
	weft_mutex_unlock(&g.m);
	await_ended(&g, 8);
	if (is_good)
		EXPECT_STR(g.log, "bcefg");
	expect_pristine(&g);
	return is_good;
}

/* The order survives those that leave from its head, middle and end. */
TEST(those_who_give_up_leave_the_order_alone)
{
	int64_t patience = PATIENCE;

	weft_gomaxprocs(2);
	while (!some_give_up(patience))
		patience *= 4;
}

/* The last to leave takes the WAITERS bit along: unlock is one instruction again. */
TEST(an_emptied_queue_leaves_no_bits)
{
	struct game g = { .n_log = 0 };
	struct player p;

	weft_mutex_lock(&g.m);
	start_impatient(&p, &g, 'a', 1);
	await_ended(&g, 1);
	EXPECT_EQ(state_of(&g), MUTEX_LOCKED);
	weft_mutex_unlock(&g.m);
	expect_pristine(&g);
}

/* ---- Starving ---- */

/*
 * Waits until 'a' has queued, has waited for more than 1 ms, was woken, lost, and queued again.
 * True: the mutex is ours and STARVING. False: 'a' won after all.
 */
static bool
make_starving(struct game *g, struct player *a, int64_t deadline)
{
	weft_mutex_lock(&g->m);
	start(a, g, 'a', deadline);
	await_queue(g, 1);
	weft_sleep(2 * MS);
	/* It is woken, and with one P can't run before we have it again. */
	weft_mutex_unlock(&g->m);
	if (!weft_mutex_trylock(&g->m))
		return false;
	while ((state_of(g) & MUTEX_STARVING) == 0 && wf_load_acquire(&g->ended) == 0)
		weft_yield();
	return wf_load_acquire(&g->ended) == 0;
}

static int ran_at_once;

static void
expect_hand_over(struct game *g, struct player *p)
{
	EXPECT_EQ(state_of(g), MUTEX_LOCKED | MUTEX_WAITERS | MUTEX_STARVING);
	/* Two more queue, the second only for a moment. They may not overtake. */
	start(&p[1], g, 'b', WEFT_FOREVER);
	await_queue(g, 2);
	start_impatient(&p[2], g, 'c', 3);
	await_ended(g, 1);
	EXPECT_EQ(p[2].result, 1000 - ETIMEDOUT);
	/* Unlock gives it away: it is never free on the way. And lets the new owner run at once. */
	weft_mutex_unlock(&g->m);
	ran_at_once += wf_load_acquire(&g->n_log) > 0;
	EXPECT(!weft_mutex_trylock(&g->m) || wf_load_acquire(&g->n_log) == 2);
}

/*
 * A waiter that lost after 1 ms gets the lock by hand-over, before anybody who comes later; then
 * the mutex is normal again. (Go's starvation mode; SCENARIOS 122.)
 */
TEST(a_starving_waiter_is_handed_the_lock)
{
	int handed = 0;

	weft_gomaxprocs(1);
	for (int i = 0; i < TRIES && (handed < 3 || ran_at_once == 0); i++) {
		static struct game g;
		static struct player p[3];

		memset(&g, 0, sizeof(g));
		if (!make_starving(&g, &p[0], WEFT_FOREVER)) {
			await_ended(&g, 1);
			continue;
		}
		expect_hand_over(&g, p);
		if (state_of(&g) == MUTEX_LOCKED)	/* our trylock worked when all was over */
			weft_mutex_unlock(&g.m);
		await_ended(&g, 3);
		EXPECT_STR(g.log, "ab");
		expect_pristine(&g);
		handed++;
	}
	EXPECT(handed >= 3);
	/* At least one: now and then the monitor moves things about. */
	EXPECT(ran_at_once > 0);
}

/* A starving waiter gives up: were the mode to stay, nobody could lock the free mutex any more. */
TEST(starvation_ends_with_a_waiter_that_gives_up)
{
	int seen = 0;

	weft_gomaxprocs(1);
	for (int i = 0; i < TRIES && seen == 0; i++) {
		static struct game g;
		static struct player p;

		memset(&g, 0, sizeof(g));
		if (!make_starving(&g, &p, weft_in(PATIENCE))) {
			await_ended(&g, 1);
			if (state_of(&g) != 0)	/* it gave up before it starved */
				weft_mutex_unlock(&g.m);
			continue;
		}
		await_ended(&g, 1);
		EXPECT_EQ(p.result, 1000 - ETIMEDOUT);
		EXPECT_EQ(state_of(&g), MUTEX_LOCKED);
		weft_mutex_unlock(&g.m);
		expect_pristine(&g);
		seen = 1;
	}
	EXPECT_EQ(seen, 1);
}

/* A waiter that is handed the lock after less than 1 ms ends the mode: hand-over is slow. */
TEST(starvation_ends_with_a_short_wait)
{
	int seen = 0;

	weft_gomaxprocs(1);
	for (int i = 0; i < TRIES && seen == 0; i++) {
		static struct game g;
		static struct player p[3];

		memset(&g, 0, sizeof(g));
		if (!make_starving(&g, &p[0], WEFT_FOREVER)) {
			await_ended(&g, 1);
			continue;
		}
		start(&p[1], &g, 'b', WEFT_FOREVER);
		await_queue(&g, 2);
		start(&p[2], &g, 'c', WEFT_FOREVER);
		await_queue(&g, 3);
		weft_mutex_unlock(&g.m);
		await_ended(&g, 3);
		EXPECT_EQ(p[0].seen, MUTEX_LOCKED | MUTEX_WAITERS | MUTEX_STARVING);
		/* Unless the machine made b wait for a millisecond. */
		seen = p[1].seen == (MUTEX_LOCKED | MUTEX_WAITERS);
		expect_pristine(&g);
	}
	EXPECT_EQ(seen, 1);
}

/* ---- Windows ---- */

/*
 * Unlock has chosen a waiter (M7) and still owns the mutex. Whoever comes now must neither get
 * it nor be forgotten.
 */
TEST(nobody_gets_in_between_claim_and_unlock)
{
	struct game g = { .n_log = 0 };
	struct player a, b, c;

	weft_gomaxprocs(4);
	weft_mutex_lock(&g.m);
	start(&a, &g, 'a', WEFT_FOREVER);
	await_queue(&g, 1);

	hold_at("mutex.claimed");
	EXPECT_EQ(weft_go(unlock_it, &g), 0);
	hold_await("mutex.claimed");
	EXPECT_EQ(state_of(&g), MUTEX_LOCKED | MUTEX_WOKEN);
	EXPECT(!weft_mutex_trylock(&g.m));
	start(&b, &g, 'b', WEFT_FOREVER);
	await_queue(&g, 1);
	start(&c, &g, 'c', weft_in(1 * MS));
	while (wf_load_acquire(&c.result) == 0)
		weft_yield();
	EXPECT_EQ(c.result, 1000 - ETIMEDOUT);
	hold_release("mutex.claimed");

	await_ended(&g, 4);
	EXPECT_EQ(strlen(g.log), 2);
	expect_pristine(&g);
}

/*
 * The same moment; now one that was woken before, and lost, comes back and declares that it
 * starves. The waiter in the hand of unlock was woken to compete, and must find a mutex that
 * can be had; the starving one is next.
 */
TEST(starvation_begins_while_a_waiter_is_claimed)
{
	struct game g = { .n_log = 0 };
	struct player y, w;

	weft_gomaxprocs(4);
	weft_mutex_lock(&g.m);
	start(&y, &g, 'y', WEFT_FOREVER);
	await_queue(&g, 1);
	start(&w, &g, 'w', WEFT_FOREVER);
	await_queue(&g, 2);
	weft_sleep(2 * MS);

	/* y is woken and goes no further; we have the lock again. */
	hold_at("mutex.woken");
	weft_mutex_unlock(&g.m);
	hold_await("mutex.woken");
	EXPECT(weft_mutex_trylock(&g.m));
	EXPECT_EQ(state_of(&g), MUTEX_LOCKED | MUTEX_WAITERS | MUTEX_WOKEN);
	/* As if a spinning goroutine had had WOKEN as well, and had taken and left the lock. */
	wf_and_acqrel(&inner(&g)->state, ~MUTEX_WOKEN);

	hold_at("mutex.claimed");
	EXPECT_EQ(weft_go(unlock_it, &g), 0);
	hold_await("mutex.claimed");
	hold_release("mutex.woken");
	while ((state_of(&g) & MUTEX_STARVING) == 0)
		weft_yield();
	hold_release("mutex.claimed");

	await_ended(&g, 3);
	EXPECT_STR(g.log, "wy");
	expect_pristine(&g);
}

/*
 * The lock was found held (M2), and is free when the waiter comes to queue (M3). Nobody would
 * wake it.
 */
TEST(unlock_before_the_waiter_queues)
{
	struct game g = { .n_log = 0 };
	struct player a;

	weft_gomaxprocs(4);
	weft_mutex_lock(&g.m);
	hold_at("mutex.queueing");
	start(&a, &g, 'a', WEFT_FOREVER);
	hold_await("mutex.queueing");
	weft_mutex_unlock(&g.m);
	EXPECT_EQ(state_of(&g), 0);
	hold_release("mutex.queueing");
	await_ended(&g, 1);
	expect_pristine(&g);
}

/* Holds y at the moment it was woken, with another one, w, behind it, and the lock ours again. */
static void
hold_woken(struct game *g, struct player *y, struct player *w)
{
	weft_gomaxprocs(4);
	weft_mutex_lock(&g->m);
	start(y, g, 'y', WEFT_FOREVER);
	await_queue(g, 1);
	start(w, g, 'w', WEFT_FOREVER);
	await_queue(g, 2);
	hold_at("mutex.woken");
	weft_mutex_unlock(&g->m);
	hold_await("mutex.woken");
	EXPECT(weft_mutex_trylock(&g->m));
	EXPECT_EQ(state_of(g), MUTEX_LOCKED | MUTEX_WAITERS | MUTEX_WOKEN);
}

/* One that lost to a passer-by waits again at the front: it came first. */
TEST(a_loser_goes_back_to_the_front)
{
	struct game g = { .n_log = 0 };
	struct player y, w;

	hold_woken(&g, &y, &w);
	hold_release("mutex.woken");
	await_queue(&g, 2);
	weft_mutex_unlock(&g.m);
	await_ended(&g, 2);
	EXPECT_STR(g.log, "yw");
	expect_pristine(&g);
}

/* One is awake already: an unlock that woke another each time would wake them all for nothing. */
TEST(unlock_wakes_nobody_while_one_is_awake)
{
	struct game g = { .n_log = 0 };
	struct player y, w;

	hold_woken(&g, &y, &w);
	weft_mutex_unlock(&g.m);
	EXPECT_EQ(queue_length(&g), 1);
	EXPECT_EQ(state_of(&g), MUTEX_WAITERS | MUTEX_WOKEN);
	hold_release("mutex.woken");
	await_ended(&g, 2);
	EXPECT_STR(g.log, "yw");
	expect_pristine(&g);
}

/*
 * A waiter has given up and is about to leave the queue. Unlock finds it there, at the head, and
 * must go on to the next.
 */
TEST(unlock_skips_one_that_is_giving_up)
{
	struct game g = { .n_log = 0 };
	struct player a, b;

	weft_gomaxprocs(4);
	weft_mutex_lock(&g.m);
	hold_at("mutex.gave_up");
	start_impatient(&a, &g, 'a', 1);
	start(&b, &g, 'b', WEFT_FOREVER);
	await_queue(&g, 2);
	hold_await("mutex.gave_up");
	weft_mutex_unlock(&g.m);
	await_ended(&g, 1);
	EXPECT_STR(g.log, "b");
	EXPECT(weft_mutex_trylock(&g.m));
	weft_mutex_unlock(&g.m);
	hold_release("mutex.gave_up");
	await_ended(&g, 2);
	EXPECT_EQ(a.result, 1000 - ETIMEDOUT);
	expect_pristine(&g);
}

/* A storm of all kinds of callers leaves nothing behind: no bit, no waiter. */
static void
storm(void *p)
{
	struct game *g = p;
	unsigned rnd = (unsigned)weft_goid() * 2654435761u;

	for (int i = 0; i < 2000 / test_scale(); i++) {
		bool locked;

		rnd = rnd * 1664525u + 1013904223u;
		if (rnd % 3 == 0)
			locked = weft_mutex_trylock(&g->m);
		else
			locked = weft_mutex_lock_until(&g->m, rnd % 3 == 1 ? WEFT_FOREVER
			    : weft_in((rnd >> 16) % 50 * US)) == 0;
		if (!locked)
			continue;
		if ((rnd >> 8) % 64 == 0)
			weft_sleep((rnd >> 16) % 300 * US);
		weft_mutex_unlock(&g->m);
	}
	wf_add_release(&g->ended, 1);
}

TEST(a_storm_leaves_a_mutex_as_new)
{
	static const int procs[] = { 1, 2, 4 };

	for (int k = 0; k < 3; k++) {
		struct game g = { .n_log = 0 };

		weft_gomaxprocs(procs[k]);
		for (int i = 0; i < 12; i++)
			EXPECT_EQ(weft_go(storm, &g), 0);
		await_ended(&g, 12);
		expect_pristine(&g);
	}
}
