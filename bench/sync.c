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

enum { RLOCK, LOCK, WAITGROUP, ONCE, SEM };

static void
one_of(long what)
{
	static weft_waitgroup w;
	static weft_once once;
	static weft_sem sem;
	long n = bench_n(10000000);
	int64_t start;

	weft_sem_init(&sem, 10);
	start = bench_now();
	for (long i = 0; i < n; i++) {
		switch (what) {
		case RLOCK:
			weft_rwmutex_rlock(&rw);
			weft_rwmutex_runlock(&rw);
			break;
		case LOCK:
			weft_rwmutex_lock(&rw);
			weft_rwmutex_unlock(&rw);
			break;
		case WAITGROUP:
			weft_waitgroup_add(&w, 1);
			weft_waitgroup_done(&w);
			break;
		case ONCE:
			weft_once_do(&once, nothing, NULL);
			break;
		case SEM:
			weft_sem_acquire(&sem, 1, WEFT_FOREVER);
			weft_sem_release(&sem, 1);
			break;
		}
	}
	bench_value(NULL, "ns", (double)(bench_now() - start) / (double)n);
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
    {.name = "sync_rwmutex_rlock_1p", .run = one_of, .arg = RLOCK, .procs = 1},
    {.name = "sync_rwmutex_lock_1p", .run = one_of, .arg = LOCK, .procs = 1},
    {.name = "sync_rwmutex_8_write1in100_2p", .run = readers, .arg = 8, .procs = 2},
    {.name = "sync_rwmutex_2_readers_2p", .run = readers_alone, .arg = 2, .procs = 2},
    {.name = "sync_waitgroup_add_done_1p", .run = one_of, .arg = WAITGROUP, .procs = 1},
    {.name = "sync_once_done_1p", .run = one_of, .arg = ONCE, .procs = 1},
    {.name = "sync_sem_1p", .run = one_of, .arg = SEM, .procs = 1},
    {.name = "sync_cond_2_1p", .run = condition, .arg = 2, .procs = 1},
    {.name = "sync_cond_8_1p", .run = condition, .arg = 8, .procs = 1},
    {.name = "sync_cond_8_2p", .run = condition, .arg = 8, .procs = 2},
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
