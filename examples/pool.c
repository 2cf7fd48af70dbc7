/*
 * A pool of workers behind a bounded queue: how mutex, cond and waitgroup work together, in the way
 * they would with threads. Counts primes; each job is a range of numbers.
 *
 *	pool [JOBS] [WORKERS]	prints how many primes there are below JOBS * 10000
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>

#define RANGE 10000
#define QUEUE 8			/* jobs that may wait: whoever brings more waits himself */
#define WORKERS_MAX 256

struct job {
	long from, to;
};

struct pool {
	weft_mutex m;
	weft_cond not_empty, not_full;
	struct job queue[QUEUE];	/* under m: a ring */
	unsigned first, n;		/* under m */
	bool is_closed;			/* under m: no more jobs will come */
	weft_waitgroup workers;
	weft_mutex result;
	long primes;			/* under result */
};

static void
pool_put(struct pool *p, struct job j)
{
	weft_mutex_lock(&p->m);
	while (p->n == QUEUE)
		weft_cond_wait(&p->not_full, &p->m, WEFT_FOREVER);
	p->queue[(p->first + p->n++) % QUEUE] = j;
	weft_mutex_unlock(&p->m);
	weft_cond_signal(&p->not_empty);
}

/* False when there will be no more. */
static bool
pool_take(struct pool *p, struct job *ret)
{
	bool has_job;

	weft_mutex_lock(&p->m);
	while (p->n == 0 && !p->is_closed)
		weft_cond_wait(&p->not_empty, &p->m, WEFT_FOREVER);
	has_job = p->n > 0;
	if (has_job) {
		*ret = p->queue[p->first];
		p->first = (p->first + 1) % QUEUE;
		p->n--;
	}
	weft_mutex_unlock(&p->m);
	weft_cond_signal(&p->not_full);
	return has_job;
}

/* All that was put is still done. Returns when it is. */
static void
pool_close(struct pool *p)
{
	weft_mutex_lock(&p->m);
	p->is_closed = true;
	weft_mutex_unlock(&p->m);
	weft_cond_broadcast(&p->not_empty);
	weft_waitgroup_wait(&p->workers, WEFT_FOREVER);
}

static bool
is_prime(long n)
{
	if (n < 4)
		return n > 1;
	if (n % 2 == 0)
		return false;
	for (long d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static void
work(void *arg)
{
	struct pool *p = arg;
	struct job j;

	while (pool_take(p, &j)) {
		long primes = 0;

		for (long n = j.from; n < j.to; n++)
			primes += is_prime(n);
		weft_mutex_lock(&p->result);
		p->primes += primes;
		weft_mutex_unlock(&p->result);
	}
}

int
main(int argc, char **argv)
{
	long jobs = argc > 1 ? atol(argv[1]) : 100;
	long workers = argc > 2 ? atol(argv[2]) : weft_gomaxprocs(0);
	static struct pool pool; /* zero is ready: locks and all */

	if (jobs < 1 || jobs > 100000 || workers < 1 || workers > WORKERS_MAX) {
		fprintf(stderr, "usage: pool [JOBS, to 100000] [WORKERS, to %d]\n", WORKERS_MAX);
		return 2;
	}
	for (long i = 0; i < workers; i++) {
		if (weft_waitgroup_go(&pool.workers, work, &pool) < 0) {
			fprintf(stderr, "pool: out of memory\n");
			return 1;
		}
	}
	for (long i = 0; i < jobs; i++)
		pool_put(&pool, (struct job){i * RANGE, (i + 1) * RANGE});
	pool_close(&pool);
	printf("%ld primes below %ld\n", pool.primes, jobs * RANGE);
	return 0;
}
