/*
 * Hold points: see hold.h. Knows of the runtime only the hook that WF_POINT calls.
 */
#define _GNU_SOURCE
#include "hold.h"

#include "base/assert.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POINTS_MAX = 16, AWAIT_S = 25 };

struct point {
	const char *name;	/* NULL: free */
	enum { PASS, ARMED, HELD } state;
	int tid;		/* of the last that was held */
	unsigned releases;	/* changes when who is held may go: the next may be held by then */
	long count;
};

static struct point points[POINTS_MAX];			/* under `lock` */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static atomic_bool is_used;				/* a point was held once */

static struct point *
find(const char *name)
{
	for (int i = 0; i < POINTS_MAX; i++) {
		if (points[i].name != NULL && strcmp(points[i].name, name) == 0)
			return &points[i];
	}
	return NULL;
}

#ifdef WEFT_DEBUG_BUILD
static void
reached(const char *name)
{
	struct point *p;

	/* Tests that hold nothing shall not be ordered by our lock: TSan would see less. */
	if (!atomic_load_explicit(&is_used, memory_order_relaxed))
		return;
	pthread_mutex_lock(&lock);
	p = find(name);
	if (p != NULL) {
		p->count++;
		if (p->state == ARMED) {
			unsigned before = p->releases;

			p->state = HELD;
			p->tid = gettid();
			pthread_cond_broadcast(&changed);
			while (p->releases == before)
				pthread_cond_wait(&changed, &lock);
		}
	}
	pthread_mutex_unlock(&lock);
}

/*
 * Before any thread of the runtime exists, so that none reads the hook while it is set, and before
 * WEFT_PERTURB, which calls the hook that it finds.
 */
static void __attribute__((constructor(101)))
set_hook(void)
{
	wf_point_hook = reached;
}
#endif

static struct point *
find_or_add(const char *name)
{
	struct point *p = find(name);

	for (int i = 0; p == NULL && i < POINTS_MAX; i++) {
		if (points[i].name == NULL) {
			p = &points[i];
			p->name = name;
		}
	}
	if (p == NULL)
		FAIL("more than %d hold points", POINTS_MAX);
	return p;
}

void
hold_needed(void)
{
#ifndef WEFT_DEBUG_BUILD
	SKIP("hold points are in debug builds only");
#endif
}

void
hold_at(const char *name)
{
	struct point *p;

	hold_needed();
	atomic_store_explicit(&is_used, true, memory_order_relaxed);
	pthread_mutex_lock(&lock);
	p = find_or_add(name);
	if (p->state != PASS)
		FAIL("%s is held already", name);
	p->state = ARMED;
	p->count = 0;
	pthread_mutex_unlock(&lock);
}

void
hold_await(const char *name)
{
	struct timespec until;
	struct point *p;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += AWAIT_S * test_scale();
	pthread_mutex_lock(&lock);
	p = find(name);
	if (p == NULL || p->state == PASS)
		FAIL("hold_await(\"%s\") without hold_at()", name);
	while (p->state != HELD) {
		if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT)
			FAIL("nobody came to %s", name);
	}
	pthread_mutex_unlock(&lock);
}

void
hold_release(const char *name)
{
	struct point *p;

	pthread_mutex_lock(&lock);
	p = find(name);
	if (p != NULL) {
		p->state = PASS;
		p->releases++;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void
hold_await_nap(void)
{
	hold_at("moment.naps");
	hold_await("moment.naps");
	hold_release("moment.naps");
}

int
hold_tid(const char *name)
{
	struct point *p;
	int tid;

	pthread_mutex_lock(&lock);
	p = find(name);
	tid = p != NULL && p->state == HELD ? p->tid : 0;
	pthread_mutex_unlock(&lock);
	return tid;
}

long
hold_count(const char *name)
{
	struct point *p;
	long count;

	pthread_mutex_lock(&lock);
	p = find(name);
	count = p == NULL ? 0 : p->count;
	pthread_mutex_unlock(&lock);
	return count;
}
