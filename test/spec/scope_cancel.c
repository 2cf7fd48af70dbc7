/*
 * Cancelling: what it reaches, what it ends, who wins, and what everybody sees of it meanwhile.
 * SCENARIOS 154, 155, 161, 162, 164, 165, 167; 168 has no counterpart (there are no custom scopes).
 */
#include <pthread.h>
#include <unistd.h>
#include "chan_util.h"

static weft_scope *
scope_make(weft_scope *parent)
{
	weft_scope *s = weft_scope_new(parent, WEFT_FOREVER);

	EXPECT(s != NULL);
	return s;
}

static void
scope_go(weft_scope *s, int (*fn)(void *), void *arg)
{
	EXPECT_EQ(weft_scope_go(s, fn, arg), 0);
}

static bool
is_closed(weft_chan *c)
{
	int r = weft_chan_recv(c, NULL, WEFT_NOW);

	EXPECT(r == 0 || r == -ETIMEDOUT);
	return r == 0;
}

static void
expect_live(weft_scope *s)
{
	EXPECT_EQ(weft_scope_err(s), 0);
	EXPECT_EQ(weft_scope_cause(s), 0);
	EXPECT(!is_closed(weft_scope_done(s)));
}

static void
expect_cancelled(weft_scope *s, int cause)
{
	EXPECT_EQ(weft_scope_err(s), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(s), cause);
	EXPECT(is_closed(weft_scope_done(s)));
}

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

/* ---- What it ends ---- */

struct waits {
	weft_chan *empty;	/* nobody sends */
	weft_chan *full;	/* nobody receives */
	weft_mutex mutex;
	weft_cond cond;
	weft_waitgroup group;
	weft_sem sem;
	weft_scope *busy;
	int pipe[2];
	int64_t deadline;
	_Atomic int entered;
	_Atomic int ended;
};

typedef int (*wait_fn)(struct waits *);

static int
wait_recv(struct waits *w)
{
	return weft_chan_recv(w->empty, NULL, w->deadline);
}

static int
wait_send(struct waits *w)
{
	return weft_chan_send(w->full, NULL, w->deadline);
}

static int
wait_recv_nil(struct waits *w)
{
	return weft_chan_recv(NULL, NULL, w->deadline);
}

static int
wait_send_nil(struct waits *w)
{
	return weft_chan_send(NULL, NULL, w->deadline);
}

static int
wait_select(struct waits *w)
{
	weft_case cases[] = { WEFT_RECV(w->empty, NULL), WEFT_SEND(w->full, NULL),
		WEFT_RECV(NULL, NULL) };

	return weft_select(cases, 3, w->deadline);
}

static int
wait_select_none(struct waits *w)
{
	return weft_select(NULL, 0, w->deadline);
}

static int
wait_sleep(struct waits *w)
{
	return weft_sleep(w->deadline == WEFT_FOREVER ? INT64_MAX : 3600 * SECOND);
}

static int
wait_cond(struct waits *w)
{
	int r;

	weft_mutex_lock(&w->mutex);
	r = weft_cond_wait(&w->cond, &w->mutex, w->deadline);
	/* Held again: else this is fatal. */
	weft_mutex_unlock(&w->mutex);
	return r;
}

static int
wait_group(struct waits *w)
{
	return weft_waitgroup_wait(&w->group, w->deadline);
}

static int
wait_sem(struct waits *w)
{
	return weft_sem_acquire(&w->sem, 2, w->deadline);
}

static int
wait_scope(struct waits *w)
{
	return weft_scope_wait(w->busy, w->deadline);
}

static int
wait_read(struct waits *w)
{
	char c;

	return (int)weft_read(w->pipe[0], &c, 1, w->deadline);
}

static int
wait_poll(struct waits *w)
{
	return weft_poll(w->pipe[0], /* POLLIN */ 1, w->deadline);
}

static const wait_fn all_waits[] = { wait_recv, wait_send, wait_recv_nil, wait_send_nil, wait_select,
	wait_select_none, wait_sleep, wait_cond, wait_group, wait_sem, wait_scope, wait_read, wait_poll };

struct one_wait {
	struct waits *w;
	int kind;
};

static int
do_wait(void *arg)
{
	struct one_wait *o = arg;
	int r;

	atomic_fetch_add(&o->w->entered, 1);
	r = all_waits[o->kind](o->w);
	atomic_fetch_add(&o->w->ended, 1);
	if (r != -ECANCELED)
		FAIL("wait %d ended with %d", o->kind, r);
	/* And it stays so: the next wait of each kind ends at once. */
	r = all_waits[o->kind](o->w);
	if (r != -ECANCELED)
		FAIL("wait %d after the cancellation ended with %d", o->kind, r);
	return 0;
}

static int
wait_for_close(void *arg)
{
	return weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

static void
waits_end(int64_t deadline, bool settle)
{
	enum { KINDS = sizeof(all_waits) / sizeof(all_waits[0]) };
	weft_chan *gate = chan_signal(0);
	struct waits w = { .empty = chan_signal(0), .full = chan_signal(1), .deadline = deadline };
	struct one_wait one[KINDS];
	weft_scope *s = scope_make(NULL);
	weft_scope *below = scope_make(s);

	signal_one(w.full);
	weft_waitgroup_add(&w.group, 1);
	weft_sem_init(&w.sem, 1);
	w.busy = scope_make(NULL);
	scope_go(w.busy, wait_for_close, gate);
	EXPECT_EQ(pipe(w.pipe), 0);

	for (int i = 0; i < KINDS; i++) {
		one[i] = (struct one_wait){ &w, i };
		scope_go(i % 2 != 0 ? s : below, do_wait, &one[i]);
	}
	if (settle) {
		await_count(&w.entered, KINDS);
		weft_sleep(2 * MS);
		EXPECT_EQ(atomic_load(&w.ended), 0);
	}
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_scope_wait(below, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&w.ended), KINDS);

	/* Nothing was taken, and nobody is queued: each object serves the next as if they had not been. */
	EXPECT_EQ(weft_chan_send(w.empty, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(w.full, NULL, WEFT_NOW), 1);
	EXPECT_EQ(weft_chan_recv(w.full, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT(weft_sem_tryacquire(&w.sem, 1));
	EXPECT(weft_mutex_trylock(&w.mutex));
	weft_mutex_unlock(&w.mutex);
	weft_waitgroup_done(&w.group);

	weft_chan_close(gate);
	weft_scope_free(w.busy);
	weft_scope_free(below);
	weft_scope_free(s);
	EXPECT_EQ(weft_close(w.pipe[0]), 0);
	EXPECT_EQ(weft_close(w.pipe[1]), 0);
	weft_chan_unref(gate);
	weft_chan_unref(w.empty);
	weft_chan_unref(w.full);
}

static void
every_wait_ends(void)
{
	waits_end(WEFT_FOREVER, true);
	waits_end(weft_in(3600 * SECOND), true);
	/* Unsettled: some have not begun, some are on their way into the wait. */
	for (int i = 0; i < scaled(20); i++) {
		waits_end(WEFT_FOREVER, false);
		waits_end(weft_in(3600 * SECOND), false);
	}
}

/* The contract: any wait of a goroutine whose scope is cancelled returns -ECANCELED. */
TEST(every_kind_of_wait_ends)
{
	on_1_2_4_procs(every_wait_ends);
}

static int
try_in_cancelled(void *arg)
{
	weft_chan *c = arg;
	int v = 5;

	/* What can go at once goes: a handler may still hand over its result, or free a permit. */
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_chan_send(c, &v, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_chan_recv(c, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(weft_chan_recv(c, &v, WEFT_FOREVER), -ECANCELED);
	/* WEFT_NOW does not wait, so there is nothing to end. */
	EXPECT_EQ(weft_chan_recv(c, &v, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_sleep(0), 0);
	EXPECT_EQ(weft_sleep(1), -ECANCELED);
	weft_yield();
	return 0;
}

struct late {
	weft_scope *s;
	weft_chan *c;
};

static int
cancel_own_scope(void *arg)
{
	struct late *l = arg;

	weft_scope_cancel(l->s, -EIO);
	return try_in_cancelled(l->c);
}

TEST(what_can_go_at_once_goes_in_a_cancelled_scope)
{
	struct late l = { scope_make(NULL), chan_int(1) };

	scope_go(l.s, cancel_own_scope, &l);
	EXPECT_EQ(weft_scope_wait(l.s, WEFT_FOREVER), 0);
	weft_scope_free(l.s);
	weft_chan_unref(l.c);
}

struct lockers {
	weft_mutex mutex;
	weft_rwmutex rwmutex;
	_Atomic int entered;
	_Atomic int got;
};

static int
take_locks(void *arg)
{
	struct lockers *l = arg;

	atomic_fetch_add(&l->entered, 1);
	weft_mutex_lock(&l->mutex);
	weft_rwmutex_rlock(&l->rwmutex);
	atomic_fetch_add(&l->got, 1);
	weft_rwmutex_runlock(&l->rwmutex);
	weft_mutex_unlock(&l->mutex);
	return 0;
}

/* Locks are not cancellable: their callers have no way to go on without the lock. */
static void
locks_are_not_cancelled(void)
{
	struct lockers l = { 0 };
	weft_scope *s = scope_make(NULL);

	weft_mutex_lock(&l.mutex);
	weft_rwmutex_lock(&l.rwmutex);
	for (int i = 0; i < 3; i++)
		scope_go(s, take_locks, &l);
	await_count(&l.entered, 3);
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, weft_in(2 * MS)), -ETIMEDOUT);
	weft_mutex_unlock(&l.mutex);
	EXPECT_EQ(weft_scope_wait(s, weft_in(2 * MS)), -ETIMEDOUT);
	EXPECT_EQ(atomic_load(&l.got), 0);
	weft_rwmutex_unlock(&l.rwmutex);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&l.got), 3);
	weft_scope_free(s);
}

TEST(locks_are_not_cancellable)
{
	on_1_2_4_procs(locks_are_not_cancelled);
}

struct park_race {
	_Atomic int entered;
};

static int
park_at_once(void *arg)
{
	struct park_race *r = arg;

	atomic_fetch_add(&r->entered, 1);
	return weft_chan_recv(NULL, NULL, WEFT_FOREVER);
}

/*
 * A cancellation that comes while the goroutine is on its way into its wait must not be missed:
 * nobody will come again. SCENARIOS 165's other half, and edge C1 of scope/README.md.
 */
static void
cancel_meets_park(void)
{
	for (int i = 0; i < scaled(5000); i++) {
		struct park_race r = { 0 };
		weft_scope *s = scope_make(NULL);

		scope_go(s, park_at_once, &r);
		if (i % 3 == 0)
			await_count(&r.entered, 1);
		else if (i % 3 == 1)
			weft_yield();
		weft_scope_cancel(s, -EIO);
		EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), -ECANCELED);
		EXPECT_EQ(weft_scope_cause(s), -EIO);
		weft_scope_free(s);
	}
}

TEST(a_goroutine_about_to_wait_is_not_missed)
{
	on_1_2_4_procs(cancel_meets_park);
}

struct transfer {
	weft_chan *c;
	_Atomic int got;
};

static int
receive_all(void *arg)
{
	struct transfer *t = arg;
	int v, r;

	while ((r = weft_chan_recv(t->c, &v, WEFT_FOREVER)) == 1)
		atomic_fetch_add(&t->got, 1);
	EXPECT_EQ(r, -ECANCELED);
	return 0;
}

/* An element is received or still there: a receiver that is cancelled takes none with it. */
static void
cancel_loses_no_element(void)
{
	for (int i = 0; i < scaled(500); i++) {
		struct transfer t = { .c = chan_int(0) };
		weft_scope *s = scope_make(NULL);
		int sent = 0;

		for (int k = 0; k < 3; k++)
			scope_go(s, receive_all, &t);
		for (int k = 0; k < 20; k++) {
			if (k == 10)
				weft_scope_cancel(s, -ECANCELED);
			if (try_send_int(t.c, k) == 0)
				sent++;
			else
				weft_yield();
		}
		weft_scope_free(s);
		EXPECT_EQ(atomic_load(&t.got), sent);
		weft_chan_unref(t.c);
	}
}

TEST(a_cancelled_receiver_loses_no_element)
{
	on_1_2_4_procs(cancel_loses_no_element);
}

/* ---- Who wins, and what others see ---- */

struct cancel_race {
	weft_scope *s;
	weft_scope *below;
	_Atomic int ready;
	_Atomic int go;
	_Atomic int next;
	int causes[8];
};

static void
wait_for_start(struct cancel_race *r)
{
	atomic_fetch_add(&r->ready, 1);
	while (!atomic_load(&r->go))
		weft_yield();
}

static int
cancel_with_own_cause(void *arg)
{
	struct cancel_race *r = arg;
	int me = atomic_fetch_add(&r->next, 1);

	wait_for_start(r);
	weft_scope_cancel(me % 2 != 0 ? r->s : r->below, -100 - me);
	/* Whoever won: now all below is cancelled, and will not change. */
	EXPECT_EQ(weft_scope_err(r->below), -ECANCELED);
	r->causes[me] = weft_scope_cause(r->below);
	return 0;
}

static int
watch(void *arg)
{
	struct cancel_race *r = arg;
	weft_chan *done = weft_scope_done(r->s);

	wait_for_start(r);
	for (;;) {
		/* Closed before: then the error must be there. No error before: then it was open. */
		bool closed = is_closed(done);
		int err = weft_scope_err(r->s);
		int cause = weft_scope_cause(r->s);
		bool closed_after = is_closed(done);

		EXPECT(!closed || err == -ECANCELED);
		EXPECT(err == 0 || cause != 0);
		EXPECT(err == 0 || closed_after);
		if (closed)
			return 0;
		weft_yield();
	}
}

/*
 * SCENARIOS 162, 164, 165: many cancel at once, from both ends of a chain, while others look. One
 * cause wins and everybody sees it; done, err and cause appear in one piece.
 */
static void
cancels_race(void)
{
	for (int round = 0; round < scaled(300); round++) {
		struct cancel_race r = { 0 };
		weft_scope *workers = scope_make(NULL);
		weft_chan *done;

		r.s = scope_make(NULL);
		r.below = scope_make(r.s);
		done = weft_scope_done(r.below);
		for (int i = 0; i < 8; i++)
			scope_go(workers, cancel_with_own_cause, &r);
		for (int i = 0; i < 2; i++)
			scope_go(workers, watch, &r);
		await_count(&r.ready, 10);
		atomic_store(&r.go, 1);
		EXPECT_EQ(weft_scope_wait(workers, WEFT_FOREVER), 0);
		EXPECT(is_closed(done));
		for (int i = 0; i < 8; i++) {
			EXPECT(r.causes[i] <= -100 && r.causes[i] > -108);
			EXPECT_EQ(r.causes[i], r.causes[0]);
		}
		weft_scope_free(r.below);
		weft_scope_free(r.s);
		weft_scope_free(workers);
	}
}

TEST(racing_cancels_agree_on_one_cause)
{
	on_1_2_4_procs(cancels_race);
}

static int
cancel_one(void *arg)
{
	weft_scope_cancel(arg, -EIO);
	return 0;
}

/* SCENARIOS 162: 100 children cancelled together, then parents and children against each other. */
static void
simultaneous_cancels(void)
{
	enum { N = 100 };
	weft_scope *workers = scope_make(NULL);
	weft_scope *parent = scope_make(NULL);
	weft_scope *child[N];

	for (int i = 0; i < N; i++)
		child[i] = scope_make(parent);
	for (int i = 0; i < N; i++)
		scope_go(workers, cancel_one, child[i]);
	EXPECT_EQ(weft_scope_wait(workers, weft_in(10 * SECOND)), 0);
	for (int i = 0; i < N; i++) {
		expect_cancelled(child[i], -EIO);
		weft_scope_free(child[i]);
	}
	expect_live(parent);

	for (int i = 0; i < N; i++)
		child[i] = scope_make(i > 0 && i % 10 != 0 ? child[i - 1] : parent);
	for (int i = 0; i < N; i++)
		scope_go(workers, cancel_one, i % 2 != 0 ? child[i] : child[N - 1 - i]);
	scope_go(workers, cancel_one, parent);
	EXPECT_EQ(weft_scope_wait(workers, weft_in(10 * SECOND)), 0);
	for (int i = N; i-- > 0;) {
		expect_cancelled(child[i], -EIO);
		weft_scope_free(child[i]);
	}
	weft_scope_free(parent);
	weft_scope_free(workers);
}

TEST(simultaneous_and_interlocked_cancels)
{
	on_1_2_4_procs(simultaneous_cancels);
}

static int
children_come_and_go(void *arg)
{
	weft_scope *parent = arg;

	for (;;) {
		weft_scope *s = scope_make(parent);
		weft_scope *below = scope_make(s);
		weft_scope *helper = scope_make(NULL);
		int err = weft_scope_err(s);

		scope_go(helper, cancel_one, below);
		weft_yield();
		EXPECT(err == 0 || weft_scope_err(below) != 0);
		weft_scope_free(helper);
		EXPECT(weft_scope_err(below) != 0);
		weft_scope_free(below);
		weft_scope_free(s);
		if (err != 0)
			return 0;
	}
}

/*
 * Scopes are made and freed below a parent at the moment in which it is cancelled: the walk must
 * neither miss one nor step into one that is gone.
 */
static void
cancel_meets_coming_and_going(void)
{
	for (int round = 0; round < scaled(200); round++) {
		weft_scope *workers = scope_make(NULL);
		weft_scope *parent = scope_make(NULL);

		for (int i = 0; i < 3; i++)
			scope_go(workers, children_come_and_go, parent);
		for (int i = 0; i < round % 7; i++)
			weft_yield();
		weft_scope_cancel(parent, -EIO);
		EXPECT_EQ(weft_scope_wait(workers, WEFT_FOREVER), 0);
		weft_scope_free(parent);
		weft_scope_free(workers);
	}
}

TEST(cancel_meets_children_that_come_and_go)
{
	on_1_2_4_procs(cancel_meets_coming_and_going);
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

struct after {
	weft_scope *s;
	weft_chan *stop;
	_Atomic int ran;
};

/* What Go calls AfterFunc: runs once when the scope is cancelled, unless stopped before. */
static int
after_cancel(void *arg)
{
	struct after *a = arg;
	weft_case cases[] = { WEFT_RECV(weft_scope_done(a->s), NULL), WEFT_RECV(a->stop, NULL) };
	int i = weft_select(cases, 2, WEFT_FOREVER);

	if (i == 0)
		atomic_fetch_add(&a->ran, 1);
	return 0;
}

/* SCENARIOS 167, with the means there are: a goroutine outside of the scope that waits for done. */
static void
done_wakes_selects(void)
{
	weft_scope *outside = scope_make(NULL);
	struct after a = { .s = scope_make(NULL), .stop = chan_signal(0) };

	for (int i = 0; i < 20; i++)
		scope_go(outside, after_cancel, &a);
	for (int i = 0; i < 5; i++)
		signal_one(a.stop);
	EXPECT_EQ(atomic_load(&a.ran), 0);
	weft_scope_cancel(a.s, -EIO);
	scope_go(outside, after_cancel, &a);		/* at once: it is cancelled already */
	EXPECT_EQ(weft_scope_wait(outside, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&a.ran), 16);
	weft_scope_free(outside);
	weft_scope_free(a.s);
	weft_chan_unref(a.stop);
}

TEST(done_wakes_those_who_select_on_it)
{
	on_1_2_4_procs(done_wakes_selects);
}

struct done_race {
	weft_scope *s;
	_Atomic int ready;
	_Atomic int go;
	weft_chan *done[8];
	_Atomic int next;
};

static int
ask_for_done(void *arg)
{
	struct done_race *r = arg;
	int me = atomic_fetch_add(&r->next, 1);

	atomic_fetch_add(&r->ready, 1);
	while (!atomic_load(&r->go))
		weft_yield();
	r->done[me] = weft_scope_done(r->s);
	EXPECT_EQ(weft_chan_recv(r->done[me], NULL, WEFT_FOREVER), 0);
	return 0;
}

/* Done is made when first asked for: all who ask at once get the same, and it is closed for all. */
static void
done_is_made_once(void)
{
	for (int round = 0; round < scaled(200); round++) {
		struct done_race r = { .s = scope_make(NULL) };
		weft_scope *workers = scope_make(NULL);

		for (int i = 0; i < 8; i++)
			scope_go(workers, ask_for_done, &r);
		await_count(&r.ready, 8);
		atomic_store(&r.go, 1);
		weft_scope_cancel(r.s, -EIO);
		EXPECT_EQ(weft_scope_wait(workers, WEFT_FOREVER), 0);
		for (int i = 0; i < 8; i++)
			EXPECT(r.done[i] == r.done[0]);
		weft_scope_free(workers);
		weft_scope_free(r.s);
	}
}

TEST(done_is_made_once_and_closed_for_all)
{
	on_1_2_4_procs(done_is_made_once);
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
