/*
 * A program for ThreadSanitizer, with a weft that was built without it. Without an argument it has
 * no race: whatever goroutines hand each other, by each kind of object, is plain memory that only
 * that object orders. The argument names a race to be planted.
 */
#include <weft.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* What precedes a receive is seen by who has sent one more than the channel holds since. */
#define NOTES 60

struct notes {
	weft_chan *c;
	long note[NOTES];
};

static void
note_and_receive(void *arg)
{
	struct notes *n = arg;

	for (int i = 0; i < NOTES; i++) {
		n->note[i] = i;
		check(weft_chan_recv(n->c, NULL, WEFT_FOREVER) == 1, "recv");
		if (i % 7 == 0)
			weft_yield();
	}
}

static void
chan_counts(size_t size, size_t cap)
{
	struct notes n = { .c = weft_chan_new(size, cap) };
	long elem = 1;

	weft_waitgroup_go(&group, note_and_receive, &n);
	for (int i = 0; i < NOTES; i++) {
		weft_case cases[] = { WEFT_SEND(n.c, &elem), WEFT_RECV(NULL, NULL) };

		if (i % 3 == 0)
			check(weft_chan_send(n.c, &elem, WEFT_FOREVER) == 0, "send");
		else
			check(weft_select(cases, 2, WEFT_FOREVER) == 0, "select");
		if (i >= (int)cap)
			check(n.note[i - (int)cap] == i - (int)cap, "a note");
		if (i % 5 == 0)
			weft_yield();
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_unref(n.c);
}

/* What a case that loses would have sent is not read. */
static void
change_elem(void *elem)
{
	for (int i = 0; i < ROUNDS; i++) {
		*(int *)elem = i;
		weft_yield();
	}
}

static void
losing_elem(void)
{
	static int elem;
	weft_chan *full = weft_chan_new(sizeof(int), 1), *free_one = weft_chan_new(0, ROUNDS);
	int one = 1;

	check(weft_chan_send(full, &one, WEFT_FOREVER) == 0, "send");
	weft_waitgroup_go(&group, change_elem, &elem);
	for (int i = 0; i < ROUNDS; i++) {
		weft_case cases[] = { WEFT_SEND(full, &elem), WEFT_SEND(free_one, NULL) };

		check(weft_select(cases, 2, WEFT_FOREVER) == 1, "select");
		weft_yield();
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_unref(full);
	weft_chan_unref(free_one);
}

/* A thread that weft did not start, at both ends. */
static weft_chan *to_thread, *from_thread;

static void *
answer_all(void *unused)
{
	long *p;

	while (weft_chan_recv(to_thread, &p, WEFT_FOREVER) == 1) {
		*p += 1;
		check(weft_chan_send(from_thread, &p, WEFT_FOREVER) == 0, "send");
	}
	return unused;
}

static void
foreign_thread(size_t cap)
{
	pthread_t thread;
	long *p;

	to_thread = weft_chan_new(sizeof(p), cap);
	from_thread = weft_chan_new(sizeof(p), cap);
	check(pthread_create(&thread, NULL, answer_all, NULL) == 0, "thread");
	for (int i = 0; i < ROUNDS; i++) {
		p = malloc(sizeof(*p));
		*p = i;
		check(weft_chan_send(to_thread, &p, WEFT_FOREVER) == 0, "send");
		check(weft_chan_recv(from_thread, &p, WEFT_FOREVER) == 1, "recv");
		check(*p == i + 1, "the answer");
		free(p);
	}
	weft_chan_close(to_thread);
	check(pthread_join(thread, NULL) == 0, "join");
	weft_chan_unref(to_thread);
	weft_chan_unref(from_thread);
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

/*
 * Who has received from another knows nothing of this one, although all use one channel: the first
 * sends and is received from, then the second. The order is enforced by what orders nothing.
 */
static weft_chan *both;
static _Atomic int step;

static void
await_step(int n)
{
	while (atomic_load_explicit(&step, memory_order_relaxed) != n)
		weft_sleep(100000);
}

static void
step_to(int n)
{
	atomic_store_explicit(&step, n, memory_order_relaxed);
}

static void
send_first(void *unused)
{
	weft_chan *loser = is("loser") ? both : NULL, *c = is("loser") ? weft_chan_new(0, 1) : both;
	weft_case cases[] = { WEFT_SEND(loser, NULL), WEFT_SEND(c, NULL) };

	(void)unused;
	shared++;
	check(weft_select(cases, 2, WEFT_FOREVER) == 1, "select");
	step_to(1);
	if (is("loser"))
		weft_chan_unref(c);
}

static void
receive_first(void *unused)
{
	(void)unused;
	if (!is("loser"))
		check(weft_chan_recv(both, NULL, WEFT_FOREVER) == 1, "recv");
	await_step(1);
	step_to(2);
}

static void
send_second(void *unused)
{
	(void)unused;
	await_step(2);
	check(weft_chan_send(both, NULL, WEFT_FOREVER) == 0, "send");
}

static void
read_beside(void *unused)
{
	(void)unused;
	await_step(2);
	check(weft_chan_recv(both, NULL, WEFT_FOREVER) == 1, "recv");
	shared++;
}

static void
race_beside(size_t cap)
{
	both = weft_chan_new(0, cap);
	weft_waitgroup_go(&group, send_first, NULL);
	weft_waitgroup_go(&group, receive_first, NULL);
	weft_waitgroup_go(&group, send_second, NULL);
	weft_waitgroup_go(&group, read_beside, NULL);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_unref(both);
}

static void
race_two(void)
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

static void
races(void)
{
	if (is("slot") || is("meeting") || is("loser"))
		race_beside(is("slot") ? 4 : 0);
	race_two();
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
	chan_counts(0, 0);
	chan_counts(0, 3);
	chan_counts(sizeof(long), 3);
	losing_elem();
	foreign_thread(0);
	foreign_thread(2);
	locks();
	goroutines();
	scopes();
	timers();
	pipes();
	races();
	return 0;
}
