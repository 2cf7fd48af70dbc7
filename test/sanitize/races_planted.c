/*
 * Races that no other part has room for: see races.c. Without a name there is none.
 */
#include "races.h"

#include <stdatomic.h>

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

void
races(void)
{
	if (is("slot") || is("meeting") || is("loser"))
		race_beside(is("slot") ? 4 : 0);
	race_two();
}
