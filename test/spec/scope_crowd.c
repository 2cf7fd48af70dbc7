/*
 * Cancelling very many at once, and very many cancellations: nobody else is held up, nothing is
 * left behind. ctest: timeout=120
 */
#include "scope_util.h"

#include <malloc.h>
#include <pthread.h>

struct crowd {
	weft_scope *s;
	_Atomic int waiting, ended;
	_Atomic int stop, asked;
};

static int
wait_in_crowd(void *arg)
{
	struct crowd *c = arg;

	atomic_fetch_add(&c->waiting, 1);
	EXPECT_EQ(weft_chan_recv(NULL, NULL, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_scope_err(weft_scope_current()), weft_scope_err(c->s));
	atomic_fetch_add(&c->ended, 1);
	return 0;
}

/* Needs the lock of the scope that is cancelled, all the time. */
static void *
bother(void *arg)
{
	struct crowd *c = arg;
	static const char key;

	while (!atomic_load(&c->stop)) {
		EXPECT_EQ(weft_scope_set(c->s, &key, c), 0);
		atomic_fetch_add(&c->asked, 1);
	}
	return NULL;
}

static void
cancel_crowd(int64_t deadline)
{
	int n = scaled(100000);
	struct crowd c = { .ended = 0 };
	pthread_t other;

	c.s = weft_scope_new(NULL, deadline);
	/* What can be started until its deadline, on a slow machine. */
	for (int i = 0; i < n; i++)
		if (weft_scope_go(c.s, wait_in_crowd, &c) != 0)
			n = i;
	await_count(&c.waiting, n);
	EXPECT_EQ(pthread_create(&other, NULL, bother, &c), 0);
	await_count(&c.asked, 10);
	if (deadline == WEFT_FOREVER)
		weft_scope_cancel(c.s, -EIO);
	EXPECT_EQ(weft_scope_wait(c.s, WEFT_FOREVER), 0);
	EXPECT_EQ(c.ended, n);
	EXPECT_EQ(weft_scope_err(c.s), deadline == WEFT_FOREVER ? -ECANCELED : -ETIMEDOUT);
	atomic_store(&c.stop, 1);
	EXPECT_EQ(pthread_join(other, NULL), 0);
	weft_scope_free(c.s);
}

/* While others use the scope: that they get in between is scope_windows' to show. */
TEST(a_crowd_is_cancelled)
{
	weft_gomaxprocs(2);
	cancel_crowd(WEFT_FOREVER);
}

TEST(a_crowd_is_cancelled_by_its_deadline)
{
	weft_gomaxprocs(2);
	cancel_crowd(weft_in(2 * SECOND));
}

/* ---- A tree, walked by several ---- */

enum { DEPTH = 4, WIDTH = 8 };

struct tree {
	weft_scope *all[5000];
	int n;
	_Atomic int ended;
};

static int
wait_in_tree(void *arg)
{
	struct tree *t = arg;

	EXPECT_EQ(weft_sleep(3600 * SECOND), -ECANCELED);
	atomic_fetch_add(&t->ended, 1);
	return 0;
}

static void
grow(struct tree *t, weft_scope *parent, int depth)
{
	weft_scope *s = weft_scope_new(parent, depth % 2 != 0 ? WEFT_FOREVER
	    : weft_in(3600 * SECOND - depth));

	t->all[t->n++] = s;
	scope_go(s, wait_in_tree, t);
	for (int i = 0; depth < DEPTH && i < WIDTH; i++)
		grow(t, s, depth + 1);
}

struct fell {
	struct tree *t;
	int first;
	bool by_free;
};

static void
fell_some(void *arg)
{
	struct fell *f = arg;

	weft_scope_cancel(f->t->all[f->first], -100 - f->first);
	/* The promise, whoever else is on the way through the tree. */
	EXPECT(weft_scope_err(f->t->all[f->first + 1]) == -ECANCELED);
	if (f->by_free) {
		weft_scope *s = f->t->all[f->t->n - 1];

		f->t->all[f->t->n - 1] = NULL;
		weft_scope_free(s);
	}
}

static void
many_walkers(void)
{
	struct tree t = { .n = 0 };
	struct fell f[6];
	weft_waitgroup all = { 0 };

	grow(&t, NULL, 0);
	for (int i = 0; i < 6; i++) {
		f[i] = (struct fell){ &t, i < 3 ? i : 0, i == 5 };
		EXPECT_EQ(weft_waitgroup_go(&all, fell_some, &f[i]), 0);
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	for (int i = 0; i < t.n; i++)
		EXPECT(t.all[i] == NULL || weft_scope_err(t.all[i]) == -ECANCELED);
	for (int i = t.n; i-- > 0;)
		weft_scope_free(t.all[i]);
	EXPECT_EQ(t.ended, t.n);
}

/* Several cancel, at different heights, and one frees a leaf meanwhile: each is right on return. */
TEST(cancellers_of_one_tree_help_each_other)
{
	for (int i = 0; i < scaled(8); i++)
		on_1_2_4_procs(many_walkers);
}

/* ---- Again and again ---- */

static int
wait_shortly(void *arg)
{
	weft_chan *c = weft_scope_done(weft_scope_current());

	EXPECT_EQ(weft_chan_recv(arg, NULL, WEFT_FOREVER), -ECANCELED);
	/* A wait that begins in the middle of a cancel may be told before c is closed: asked again,
	 * weft_scope_done() waits that out. */
	EXPECT(weft_scope_done(weft_scope_current()) == c);
	EXPECT(is_closed(c));
	return -EIO;
}

static void
make_and_cancel(int n)
{
	weft_chan *never = chan_signal(0);

	for (int i = 0; i < n; i++) {
		weft_scope *s = weft_scope_new(NULL, weft_in(3600 * SECOND));
		weft_scope *below = weft_scope_new(s, weft_in(1800 * SECOND));

		EXPECT_EQ(weft_scope_set(s, &s, below), 0);
		scope_go(s, wait_shortly, never);
		scope_go(below, wait_shortly, never);
		if (i % 2 != 0)
			weft_scope_cancel(s, -EIO);
		weft_scope_free(below);
		weft_scope_free(s);
	}
	weft_chan_unref(never);
}

/* A server makes one or two for each request: what each leaves behind is what kills it at last. */
TEST(thousands_made_and_cancelled_leak_nothing)
{
	size_t before;

	if (test_scale() > 1)
		SKIP("the allocator of a sanitizer does not count");
	weft_gomaxprocs(2);
	make_and_cancel(3000);
	before = mallinfo2().uordblks;
	make_and_cancel(20000);
	/* 40,000 scopes: a single byte of each would show. */
	EXPECT(mallinfo2().uordblks < before + 40000);
}
