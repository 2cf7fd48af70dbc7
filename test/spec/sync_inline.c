/*
 * What weft/sync.h inlines is the same as what the library exports: one may be called here and the
 * other there, as by programs of two compilers.
 */
#include "sync_util.h"

/* The exported ones. */
static int (*const volatile await)(weft_waitgroup *, int64_t) = weft_waitgroup_wait;
static void (*const volatile once_do)(weft_once *, void (*)(void *), void *) = weft_once_do;

static bool (*const volatile trylock)(weft_mutex *) = weft_mutex_trylock;
static void (*const volatile add)(weft_waitgroup *, int) = weft_waitgroup_add;
static void (*const volatile done)(weft_waitgroup *) = weft_waitgroup_done;

static void
count(void *n)
{
	++*(int *)n;
}

TEST(a_waitgroup_takes_both)
{
	weft_waitgroup w = {{0}};

	EXPECT_EQ(weft_waitgroup_wait(&w, WEFT_NOW), 0);
	EXPECT_EQ(await(&w, WEFT_NOW), 0);
	weft_waitgroup_add(&w, 1);
	EXPECT_EQ(weft_waitgroup_wait(&w, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(await(&w, WEFT_NOW), -ETIMEDOUT);
	weft_waitgroup_done(&w);
	EXPECT_EQ(weft_waitgroup_wait(&w, WEFT_NOW), 0);
	EXPECT_EQ(await(&w, WEFT_NOW), 0);
}

/* The largest counter, and the way there and back, in steps of both. */
TEST(a_waitgroup_counts_alike_in_both)
{
	weft_waitgroup w = {{0}};

	weft_waitgroup_add(&w, INT32_MAX / 2 - 1);
	add(&w, 1);
	weft_waitgroup_done(&w);
	weft_waitgroup_add(&w, 1);
	done(&w);
	weft_waitgroup_add(&w, -(INT32_MAX / 2 - 1));
	EXPECT_EQ(weft_waitgroup_wait(&w, WEFT_NOW), 0);
}

static void
add_one_too_many(void *unused)
{
	weft_waitgroup w = {{0}};

	(void)unused;
	weft_waitgroup_add(&w, INT32_MAX / 2);
	weft_waitgroup_add(&w, 1);
}

static void
done_too_often(void *unused)
{
	weft_waitgroup w = {{0}};

	(void)unused;
	weft_waitgroup_done(&w);
}

TEST(what_is_wrong_is_told_by_the_library)
{
	expect_death(add_one_too_many, "sync: negative WaitGroup counter");
	expect_death(done_too_often, "sync: negative WaitGroup counter");
}

static void
await_it(void *w)
{
	EXPECT_EQ(weft_waitgroup_wait(w, WEFT_FOREVER), 0);
	weft_goexit();
}

/* The last one out is not alone: somebody must be woken. */
TEST(a_waiter_is_woken_by_what_is_inlined)
{
	weft_waitgroup w = {{0}}, waiters = {{0}};

	weft_waitgroup_add(&w, 2);
	EXPECT_EQ(weft_waitgroup_go(&waiters, await_it, &w), 0);
	weft_waitgroup_done(&w);
	weft_sleep(MS);
	weft_waitgroup_done(&w);
	EXPECT_EQ(weft_waitgroup_wait(&waiters, WEFT_FOREVER), 0);
}

TEST(a_mutex_takes_both)
{
	weft_mutex m = {{0}};

	EXPECT(weft_mutex_trylock(&m));
	EXPECT(!weft_mutex_trylock(&m));
	EXPECT(!trylock(&m));
	weft_mutex_unlock(&m);
	EXPECT(trylock(&m));
	EXPECT(!weft_mutex_trylock(&m));
	weft_mutex_unlock(&m);
}

TEST(a_once_takes_both)
{
	weft_once a = {{0}}, b = {{0}};
	int n = 0;

	weft_once_do(&a, count, &n);
	once_do(&a, count, &n);
	once_do(&b, count, &n);
	weft_once_do(&b, count, &n);
	EXPECT_EQ(n, 2);
}
