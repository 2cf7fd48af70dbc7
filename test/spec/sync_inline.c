/*
 * What weft/sync.h inlines is the same as what the library exports: one may be called here and the
 * other there, as by programs of two compilers.
 */
#include "sync_util.h"

/* The exported ones. */
static int (*const volatile await)(weft_waitgroup *, int64_t) = weft_waitgroup_wait;
static void (*const volatile once_do)(weft_once *, void (*)(void *), void *) = weft_once_do;
static bool (*const volatile trylock)(weft_mutex *) = weft_mutex_trylock;

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
