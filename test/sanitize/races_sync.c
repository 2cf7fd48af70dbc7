/*
 * Plain memory that only locks, semaphores and the like order: see races.c.
 */
#include "races.h"

static weft_mutex mutex;
static weft_rwmutex rwmutex;
static weft_cond cond;
static weft_sem sem;
static weft_once once;
static weft_event event;
static int turn;

static void
count_under_mutex(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		if (is("mutex") && i % 8 == 0) {
			shared++;
			continue;
		}
		if (i % 3 == 0)
			weft_mutex_lock(&mutex);
		else if (i % 3 == 1)
			check(weft_mutex_lock_until(&mutex, WEFT_FOREVER) == 0, "lock");
		else
			while (!weft_mutex_trylock(&mutex))
				weft_yield();
		shared++;
		if (i % 16 == 0)
			weft_yield();
		weft_mutex_unlock(&mutex);
	}
}

static void
count_under_rwmutex(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0) {
			weft_rwmutex_lock(&rwmutex);
			shared++;
			if (i % 16 == 0)
				weft_yield();
			weft_rwmutex_unlock(&rwmutex);
			continue;
		}
		weft_rwmutex_rlock(&rwmutex);
		check(shared >= 0, "a count");
		if (is("rwmutex") && i % 64 == 1)
			shared++;
		if (i % 16 == 1)
			weft_yield();
		weft_rwmutex_runlock(&rwmutex);
	}
}

static void
count_under_sem(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		check(weft_sem_acquire(&sem, 1, WEFT_FOREVER) == 0, "acquire");
		shared++;
		weft_sem_release(&sem, 1);
	}
}

static void
take_turns(void *arg)
{
	int me = *(int *)arg;

	for (int i = 0; i < 20; i++) {
		weft_mutex_lock(&mutex);
		while (turn % WORKERS != me)
			check(weft_cond_wait(&cond, &mutex, WEFT_FOREVER) == 0, "cond");
		turn++;
		shared++;
		weft_mutex_unlock(&mutex);
		weft_cond_broadcast(&cond);
	}
}

static void
write_once(void *unused)
{
	(void)unused;
	shared = 7;
}

static void
do_once(void *unused)
{
	(void)unused;
	weft_once_do(&once, write_once, NULL);
	check(shared == 7, "once");
}

static void
wait_for_event(void *unused)
{
	(void)unused;
	check(weft_event_wait(&event, WEFT_FOREVER) == 0, "event");
	check(shared == 8, "what was written before the event");
}

void
locks(void)
{
	static int number[WORKERS];

	crew(count_under_mutex, NULL);
	crew(count_under_rwmutex, NULL);
	weft_sem_init(&sem, 1);
	crew(count_under_sem, NULL);
	for (int i = 0; i < WORKERS; i++) {
		number[i] = i;
		weft_waitgroup_go(&group, take_turns, &number[i]);
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	crew(do_once, NULL);
	for (int i = 0; i < WORKERS; i++)
		weft_waitgroup_go(&group, wait_for_event, NULL);
	shared = 8;
	weft_event_set(&event);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}
