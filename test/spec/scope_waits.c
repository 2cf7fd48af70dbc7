/*
 * Which waits a cancellation ends, which not, and that none is missed and nothing lost by it.
 */
#include "scope_util.h"

#include <unistd.h>

struct waits {
	weft_chan *empty;	/* nobody sends */
	weft_chan *full;	/* nobody receives */
	weft_mutex mutex;
	weft_cond cond;
	weft_event event;
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
wait_event(struct waits *w)
{
	return weft_event_wait(&w->event, w->deadline);
}

static int
wait_select_event(struct waits *w)
{
	weft_case cases[] = { WEFT_RECV(w->empty, NULL), WEFT_WAIT(&w->event) };

	return weft_select(cases, 2, w->deadline);
}

static int
wait_place(struct waits *w)
{
	return weft_scope_go_until(w->busy, wait_for_close, NULL, w->deadline);
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

static const wait_fn all_waits[] = { wait_recv, wait_send, wait_recv_nil, wait_send_nil,
	wait_select, wait_select_none, wait_sleep, wait_cond, wait_group, wait_sem, wait_scope,
	wait_event, wait_select_event, wait_place, wait_read, wait_poll };

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
	weft_scope_set_limit(w.busy, 1);
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

	/* Nothing was taken, nobody is queued: each object is as if they had not been. */
	EXPECT_EQ(weft_chan_send(w.empty, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_chan_recv(w.full, NULL, WEFT_NOW), 1);
	EXPECT_EQ(weft_chan_recv(w.full, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT(weft_sem_tryacquire(&w.sem, 1));
	EXPECT(weft_event_set(&w.event));
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
