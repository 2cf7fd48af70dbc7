/*
 * A program for ThreadSanitizer, with a weft that was built without it. Without an argument it has
 * no race: whatever goroutines hand each other, by each kind of object, is plain memory that only
 * that object orders. The argument names a race to be planted.
 */
#include <weft.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 40
#define WORKERS 8

struct big {
	long part[5];
};

static const char *bug = "";
static long shared;		/* ordered by what the test at hand is about */
static weft_waitgroup group;

static int
is(const char *name)
{
	return strcmp(bug, name) == 0;
}

static void
check(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* Each of the workers runs fn, and all have ended when it returns. */
static void
crew(void (*fn)(void *), void *arg)
{
	for (int i = 0; i < WORKERS; i++)
		check(weft_waitgroup_go(&group, fn, arg) == 0, "go");
	check(weft_waitgroup_wait(&group, WEFT_FOREVER) == 0, "wait");
}

/* ---- Channels ---- */

static void
send_pointers(void *c)
{
	for (int i = 0; i < ROUNDS; i++) {
		long *p = malloc(sizeof(*p));

		*p = i;
		check(weft_chan_send(c, &p, WEFT_FOREVER) == 0, "send");
		if (is("channel"))
			*p = i;
	}
}

static void
send_structs(void *c)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct big b = { { i, i, i, i, i } };
		weft_case cases[] = { WEFT_SEND(c, &b), WEFT_RECV(NULL, NULL) };

		check(weft_select(cases, 2, WEFT_FOREVER) == 0, "select");
	}
}

static void
channels(size_t cap)
{
	weft_chan *pointers = weft_chan_new(sizeof(long *), cap), *closed = weft_chan_new(0, 0);
	weft_chan *structs = weft_chan_new(sizeof(struct big), cap);
	struct big b;
	long *p, sum = 0;

	for (int i = 0; i < WORKERS; i++) {
		weft_waitgroup_go(&group, send_pointers, pointers);
		weft_waitgroup_go(&group, send_structs, structs);
	}
	for (int i = 0; i < 2 * WORKERS * ROUNDS; i++) {
		weft_case cases[] = {
			WEFT_RECV(pointers, &p), WEFT_RECV(structs, &b),
			WEFT_RECV(closed, NULL),
		};
		int won = weft_select(cases, 3, WEFT_FOREVER);

		if (won == 0) {
			sum += *p;
			free(p);
		} else {
			sum += b.part[4];
		}
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_close(closed);
	check(sum == (long)WORKERS * ROUNDS * (ROUNDS - 1), "the sum of what was sent");
	weft_chan_unref(pointers);
	weft_chan_unref(structs);
	weft_chan_unref(closed);
}

/* A channel as a semaphore: who receives makes room for who sends next. */
static void
count_by_slots(void *c)
{
	for (int i = 0; i < ROUNDS; i++) {
		weft_chan_send(c, NULL, WEFT_FOREVER);
		shared++;
		weft_chan_recv(c, NULL, WEFT_FOREVER);
	}
}

static void
read_when_closed(void *c)
{
	check(weft_chan_recv(c, NULL, WEFT_FOREVER) == 0, "closed");
	check(shared == WORKERS * ROUNDS + 1, "what was written before the close");
}

static void
chan_slots_and_close(void)
{
	weft_chan *slots = weft_chan_new(0, 1), *end = weft_chan_new(0, 0);

	shared = 0;
	crew(count_by_slots, slots);
	for (int i = 0; i < WORKERS; i++)
		weft_waitgroup_go(&group, read_when_closed, end);
	shared++;
	weft_chan_close(end);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_unref(slots);
	weft_chan_unref(end);
}

/* ---- Locks ---- */

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

static void
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

/* ---- Goroutines, scopes, timers ---- */

static void
add_part(void *arg)
{
	const struct big *b = arg;

	weft_mutex_lock(&mutex);
	shared += b->part[2];
	weft_mutex_unlock(&mutex);
	weft_waitgroup_done(&group);
}

static int
add_in_scope(void *arg)
{
	long *p = arg;

	*p += 1;
	weft_yield();
	return 0;
}

static int
wait_for_cancel(void *arg)
{
	long *why = arg;

	(void)weft_chan_recv(NULL, NULL, WEFT_FOREVER);
	check(weft_scope_err(weft_scope_current()) == -ECANCELED, "cancelled");
	check(*why == 9, "what was written before the cancellation");
	return 0;
}

static void
goroutines(void)
{
	struct big b = { { 0, 0, 1, 0, 0 } };
	weft_go_options o = {
		.size = sizeof(o), .name = "part", .copy = &b, .copy_size = sizeof(b),
	};

	for (int i = 0; i < ROUNDS; i++) {
		weft_waitgroup_add(&group, 1);
		check(weft_go_with(&o, add_part, NULL) == 0, "go_with");
		b.part[2]++;		/* it has a copy */
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}

static void
scopes(void)
{
	static long parts[WORKERS], why;
	weft_scope *s;

	for (int round = 0; round < 20; round++) {
		s = weft_scope_new(NULL, WEFT_FOREVER);
		for (int i = 0; i < WORKERS; i++)
			weft_scope_go(s, add_in_scope, &parts[i]);
		check(weft_scope_wait(s, WEFT_FOREVER) == 0, "scope");
		for (int i = 0; i < WORKERS; i++)
			check(parts[i] == round + 1, "what a goroutine of the scope has done");
		weft_scope_free(s);
	}
	s = weft_scope_new(NULL, WEFT_FOREVER);
	why = 0;
	for (int i = 0; i < WORKERS; i++)
		weft_scope_go(s, wait_for_cancel, &why);
	why = 9;
	weft_scope_cancel(s, 0);
	weft_scope_free(s);
	why = 0;
}

static void
timer_fires(void *arg)
{
	*(long *)arg += 1;
	weft_waitgroup_done(&group);
}

static void
timers(void)
{
	static long fired[WORKERS];
	weft_timer *t[WORKERS];
	weft_timer *after = weft_timer_new(weft_in(1000000), 0, NULL, NULL);
	int64_t when;

	for (int i = 0; i < WORKERS; i++) {
		fired[i] = 1;
		weft_waitgroup_add(&group, 1);
		t[i] = weft_timer_new(weft_in(1000 * i), 0, timer_fires, &fired[i]);
		check(t[i] != NULL, "timer");
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	for (int i = 0; i < WORKERS; i++) {
		check(fired[i] == 2, "timer's function");
		weft_timer_free(t[i]);
	}
	check(weft_chan_recv(weft_timer_chan(after), &when, WEFT_FOREVER) == 1, "after");
	weft_timer_free(after);
	weft_sleep(100000);
}

/* ---- Bytes ---- */

struct pipe_end {
	int fd;
	long *note;
};

static void
write_note(void *arg)
{
	struct pipe_end *e = arg;

	for (int i = 1; i <= ROUNDS; i++) {
		e->note[i] = i;
		check(weft_write(e->fd, &i, sizeof(i), WEFT_FOREVER) == sizeof(i), "write");
	}
	weft_close(e->fd);
}

static void
pipes(void)
{
	static long note[ROUNDS + 1];
	struct pipe_end e = { -1, note };
	int fd[2], n;

	check(pipe(fd) == 0, "pipe");
	e.fd = fd[1];
	weft_waitgroup_go(&group, write_note, &e);
	while (weft_read(fd[0], &n, sizeof(n), WEFT_FOREVER) == sizeof(n))
		check(note[n] == n, "what was written before the bytes");
	weft_close(fd[0]);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}

/* ---- Races ---- */

static void
count_without(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		shared++;
		weft_yield();
	}
}

/* Goroutines that run one after the other, on one stack and thread perhaps, and are not ordered. */
static void
count_one(void *unused)
{
	(void)unused;
	shared++;
}

static void
read_elem(void *elem)
{
	*(int *)elem += 1;
}

static void
races(void)
{
	static int elem;
	weft_chan *c = weft_chan_new(sizeof(int), 1);

	if (is("counter"))
		crew(count_without, NULL);
	if (is("goroutines"))
		crew(count_one, NULL);
	if (is("element")) {
		weft_waitgroup_go(&group, read_elem, &elem);
		weft_chan_send(c, &elem, WEFT_FOREVER);
		weft_waitgroup_wait(&group, WEFT_FOREVER);
	}
	if (is("late")) {
		weft_waitgroup_go(&group, count_one, NULL);
		shared++;
		weft_waitgroup_wait(&group, WEFT_FOREVER);
	}
	weft_chan_unref(c);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		bug = argv[1];
	weft_gomaxprocs(4);
	channels(0);
	channels(7);
	chan_slots_and_close();
	locks();
	goroutines();
	scopes();
	timers();
	pipes();
	races();
	return 0;
}
