/*
 * What the other locks and counters cost when nobody else wants them, and two that are shared: a
 * read-write lock with one write in a hundred, a condition that passes a token round.
 */
#include <weft.h>

#include "lib/harness.h"

static weft_rwmutex rw;
static weft_waitgroup all;
static long rounds;

static void
nothing(void *arg)
{
	(void)arg;
}

/* An operation by one goroutine, again and again. */
#define ALONE(name, operation) \
	static void name(void *unused) \
	{ \
		BENCH_MEASURE(10000000, operation); \
		weft_waitgroup_done(&all); \
		(void)unused; \
	}

static weft_mutex mutex;
static weft_waitgroup group;
static weft_once once;
static weft_sem sem;
static weft_cond nobody;

ALONE(read_lock, (weft_rwmutex_rlock(&rw), weft_rwmutex_runlock(&rw)))
ALONE(try_read_lock, (BENCH_CHECK(weft_rwmutex_tryrlock(&rw)), weft_rwmutex_runlock(&rw)))
ALONE(write_lock, (weft_rwmutex_lock(&rw), weft_rwmutex_unlock(&rw)))
ALONE(try_lock, (BENCH_CHECK(weft_mutex_trylock(&mutex)), weft_mutex_unlock(&mutex)))
ALONE(try_in_vain, BENCH_CHECK(!weft_mutex_trylock(&mutex)))
ALONE(add_done, (weft_waitgroup_add(&group, 1), weft_waitgroup_done(&group)))
ALONE(wait_for_nobody, weft_waitgroup_wait(&group, WEFT_FOREVER))
ALONE(once_done, weft_once_do(&once, nothing, NULL))
ALONE(acquire, (weft_sem_acquire(&sem, 1, WEFT_FOREVER), weft_sem_release(&sem, 1)))
ALONE(signal_nobody, weft_cond_signal(&nobody))

enum { RLOCK, TRYRLOCK, LOCK, TRYLOCK, TRY_IN_VAIN, ADD_DONE, WAIT, ONCE, SEM, SIGNAL };

static void
alone(long what)
{
	static void (*const loop[])(void *) = {
	    [RLOCK] = read_lock, [TRYRLOCK] = try_read_lock, [LOCK] = write_lock,
	    [TRYLOCK] = try_lock, [TRY_IN_VAIN] = try_in_vain, [ADD_DONE] = add_done,
	    [WAIT] = wait_for_nobody, [ONCE] = once_done, [SEM] = acquire,
	    [SIGNAL] = signal_nobody,
	};

	weft_sem_init(&sem, 10);
	if (what == TRY_IN_VAIN)
		weft_mutex_lock(&mutex);
	weft_waitgroup_add(&all, 1);
	BENCH_CHECK(weft_go(loop[what], NULL) == 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
}

static void
read_mostly(void *arg)
{
	volatile long *shared = arg;

	for (long i = 0; i < rounds; i++) {
		if (i % 100 == 0) {
			weft_rwmutex_lock(&rw);
			*shared = *shared + 1;
			weft_rwmutex_unlock(&rw);
		} else {
			weft_rwmutex_rlock(&rw);
			(void)*shared;
			weft_rwmutex_runlock(&rw);
		}
	}
	weft_waitgroup_done(&all);
}

static void
readers(long k)
{
	static long shared;
	int64_t start = bench_now();

	rounds = bench_n(4000000) / k / 100 * 100;
	weft_waitgroup_add(&all, (int)k);
	for (long i = 0; i < k; i++)
		BENCH_CHECK(weft_go(read_mostly, &shared) == 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * k));
	BENCH_CHECK(shared == rounds * k / 100);
}

static void
only_read(void *arg)
{
	long sum = 0;

	for (long i = 0; i < rounds; i++) {
		weft_rwmutex_rlock(&rw);
		sum += *(volatile long *)arg;
		weft_rwmutex_runlock(&rw);
	}
	BENCH_CHECK(sum == rounds);
	weft_waitgroup_done(&all);
}

/* ns for a read lock and its unlock, per read: k that do nothing else, and nobody writes. */
static void
readers_alone(long k)
{
	static long one = 1;
	int64_t start = bench_now();

	rounds = bench_n(10000000) / k;
	weft_waitgroup_add(&all, (int)k);
	for (long i = 0; i < k; i++)
		BENCH_CHECK(weft_go(only_read, &one) == 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * k));
}

static struct {
	weft_mutex lock;
	weft_cond passed;
	long turn, of;			/* under lock */
} token;

static void
pass(void *arg)
{
	long me = *(long *)arg;

	weft_mutex_lock(&token.lock);
	for (long i = 0; i < rounds; i++) {
		while (token.turn != me)
			weft_cond_wait(&token.passed, &token.lock, WEFT_FOREVER);
		token.turn = (me + 1) % token.of;
		weft_cond_broadcast(&token.passed);
	}
	weft_mutex_unlock(&token.lock);
	weft_waitgroup_done(&all);
}

/* ns for a token to be passed on, all of k woken each time. */
static void
condition(long k)
{
	int64_t start = bench_now();

	rounds = bench_n(1000000) / k;
	token.of = k;
	weft_waitgroup_add(&all, (int)k);
	for (long i = 0; i < k; i++) {
		weft_go_options o = {sizeof(o), .copy = &i, .copy_size = sizeof(i)};

		BENCH_CHECK(weft_go_with(&o, pass, NULL) == 0);
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)(rounds * k));
}

static const struct bench_case cases[] = {
    {.name = "sync_rwmutex_rlock_1p", .run = alone, .arg = RLOCK, .procs = 1},
    {.name = "sync_rwmutex_tryrlock_1p", .run = alone, .arg = TRYRLOCK, .procs = 1},
    {.name = "sync_rwmutex_lock_1p", .run = alone, .arg = LOCK, .procs = 1},
    {.name = "sync_rwmutex_8_write1in100_2p", .run = readers, .arg = 8, .procs = 2},
    {.name = "sync_rwmutex_2_readers_2p", .run = readers_alone, .arg = 2, .procs = 2},
    {.name = "sync_mutex_trylock_1p", .run = alone, .arg = TRYLOCK, .procs = 1},
    {.name = "sync_mutex_trylock_locked_1p", .run = alone, .arg = TRY_IN_VAIN, .procs = 1},
    {.name = "sync_waitgroup_add_done_1p", .run = alone, .arg = ADD_DONE, .procs = 1},
    {.name = "sync_waitgroup_wait_done_1p", .run = alone, .arg = WAIT, .procs = 1},
    {.name = "sync_once_done_1p", .run = alone, .arg = ONCE, .procs = 1},
    {.name = "sync_sem_1p", .run = alone, .arg = SEM, .procs = 1},
    {.name = "sync_cond_signal_nobody_1p", .run = alone, .arg = SIGNAL, .procs = 1},
    {.name = "sync_cond_2_1p", .run = condition, .arg = 2, .procs = 1},
    {.name = "sync_cond_8_1p", .run = condition, .arg = 8, .procs = 1},
    {.name = "sync_cond_8_2p", .run = condition, .arg = 8, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
