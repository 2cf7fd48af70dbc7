/*
 * Cancellations that race with each other, with those who look, and with scopes that come and go.
 * SCENARIOS 162, 164, 165, 167 (168 has no counterpart: there are no custom scopes).
 */
#include "scope_util.h"

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
		/* Closed before: then the error must be there. An error: then it is closed. */
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
	int64_t deadline;
	int stopped = 0;

	for (int i = 0; i < 20; i++)
		scope_go(outside, after_cancel, &a);
	for (int i = 0; i < 5; i++)
		signal_one(a.stop);
	EXPECT_EQ(atomic_load(&a.ran), 0);
	weft_scope_cancel(a.s, -EIO);
	scope_go(outside, after_cancel, &a);		/* at once: it is cancelled already */
	EXPECT_EQ(weft_scope_wait(outside, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&a.ran), 16);
	weft_scope_free(a.s);

	/* The same by a deadline: not before it, and those that were stopped not at all. */
	deadline = weft_in(5 * MS);
	a.s = weft_scope_new(NULL, deadline);
	EXPECT(a.s != NULL);
	atomic_store(&a.ran, 0);
	for (int i = 0; i < 20; i++)
		scope_go(outside, after_cancel, &a);
	for (int i = 0; i < 5; i++)
		stopped += weft_chan_send(a.stop, NULL, deadline) == 0;
	EXPECT(atomic_load(&a.ran) == 0 || weft_now() >= deadline);
	EXPECT_EQ(weft_scope_wait(outside, WEFT_FOREVER), 0);
	EXPECT(weft_now() >= deadline);
	EXPECT_EQ(atomic_load(&a.ran), 20 - stopped);
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
