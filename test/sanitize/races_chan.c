/*
 * Plain memory that only channels order: see races.c.
 */
#include "races.h"

#include <pthread.h>
#include <stdlib.h>

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
select_among(size_t cap)
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

void
channels(void)
{
	select_among(0);
	select_among(7);
	chan_slots_and_close();
	chan_counts(0, 0);
	chan_counts(0, 3);
	chan_counts(sizeof(long), 3);
	losing_elem();
	foreign_thread(0);
	foreign_thread(2);
}
