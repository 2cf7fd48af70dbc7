/*
 * The windows of chan/README.md, "Events", held open: a setter before V2 and between V2 and V3.
 */
#include "chan/event.h"

#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <weft.h>
#include "base/atomic.h"
#include "hold.h"

#define MS ((int64_t)1000000)

struct stage {
	weft_event e;
	weft_scope *scope;		/* of the waiter */
	int64_t deadline;
	bool by_select;
	_Atomic int started, ended;
	_Atomic int result;
};

static void
set_it(void *p)
{
	struct stage *s = p;

	EXPECT(weft_event_set(&s->e));
}

static int
wait_for_it(void *p)
{
	struct stage *s = p;
	weft_chan *never = weft_chan_new(0, 0);
	weft_case cases[] = { WEFT_RECV(never, NULL), WEFT_WAIT(&s->e) };
	int r;

	wf_add_release(&s->started, 1);
	r = s->by_select ? weft_select(cases, 2, s->deadline)
	    : weft_event_wait(&s->e, s->deadline);
	weft_chan_unref(never);
	wf_store_release(&s->result, r);
	wf_add_release(&s->ended, 1);
	return 0;
}

static void
start_setter(struct stage *s)
{
	EXPECT_EQ(weft_go(set_it, s), 0);
}

/*
 * It gives up when its scope is cancelled: a deadline could pass before it waits. Both take the
 * same way.
 */
static void
start_waiter(struct stage *s)
{
	s->scope = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT(s->scope != NULL);
	EXPECT_EQ(weft_scope_go(s->scope, wait_for_it, s), 0);
}

/* Until somebody waits on the event. */
static void
await_queued(struct stage *s)
{
	struct event *e = (struct event *)(void *)&s->e;
	bool is_queued = false;

	while (!is_queued) {
		weft_yield();
		wf_enter();
		wf_lock(&e->lock);
		is_queued = e->waiters.head != NULL;
		wf_unlock(&e->lock);
		wf_leave();
	}
}

static void
await_ended(struct stage *s, int n)
{
	while (wf_load_acquire(&s->ended) != n)
		weft_yield();
}

/*
 * The setter still has the lock. A wait that returned now might be followed by the end of the
 * frame that the event is in.
 */
TEST(a_wait_does_not_return_while_the_setter_is_inside)
{
	for (int by_select = 0; by_select <= 1; by_select++) {
		struct stage s = { .deadline = WEFT_NOW, .by_select = by_select != 0 };

		weft_gomaxprocs(4);
		hold_at("event.set");
		start_setter(&s);
		hold_await("event.set");
		start_waiter(&s);
		while (wf_load_acquire(&s.started) == 0)
			weft_yield();
		weft_sleep(5 * MS);
		EXPECT_EQ(s.ended, 0);
		hold_release("event.set");
		await_ended(&s, 1);
		EXPECT_EQ(s.result, by_select);
		weft_scope_free(s.scope);
		memset(&s.e, 0x5a, sizeof(s.e));
	}
}

/*
 * The setter has the list and has not come to our waiter, whose scope ends. The waiter must
 * stay until it has been passed: the setter will read its frame. (V7)
 */
static void
give_up_on_the_setters_list(bool by_select, bool reset)
{
	struct stage s = { .deadline = WEFT_FOREVER, .by_select = by_select };

	weft_gomaxprocs(4);
	start_waiter(&s);
	await_queued(&s);
	hold_at("event.gave_up");
	hold_at("event.taken");
	start_setter(&s);
	hold_await("event.taken");
	if (reset) {
		EXPECT(weft_event_reset(&s.e));
		EXPECT_EQ(weft_event_wait(&s.e, WEFT_NOW), -ETIMEDOUT);
	}
	weft_scope_cancel(s.scope, -ECANCELED);
	hold_await("event.gave_up");
	hold_release("event.gave_up");
	weft_sleep(5 * MS);
	EXPECT_EQ(s.ended, 0);
	hold_release("event.taken");
	await_ended(&s, 1);
	EXPECT_EQ(s.result, -ECANCELED);
	weft_scope_free(s.scope);
}

TEST(a_waiter_that_gives_up_waits_until_it_is_passed)
{
	give_up_on_the_setters_list(false, false);
	give_up_on_the_setters_list(true, false);
}

/* The same, with a reset in between: the list that it is on is the setter's, not the new one. */
TEST(a_reset_does_not_give_the_list_back)
{
	give_up_on_the_setters_list(false, true);
	give_up_on_the_setters_list(true, true);
}

/* A waiter that gave up before the set is not met by it. */
TEST(a_waiter_that_gave_up_before_is_not_met)
{
	struct stage s = { .deadline = WEFT_FOREVER };

	weft_gomaxprocs(4);
	hold_at("event.gave_up");
	start_waiter(&s);
	await_queued(&s);
	weft_scope_cancel(s.scope, -ECANCELED);
	hold_await("event.gave_up");
	/* It is still queued, and claimed by its scope: passed over. */
	EXPECT(weft_event_set(&s.e));
	hold_release("event.gave_up");
	await_ended(&s, 1);
	EXPECT_EQ(s.result, -ECANCELED);
	weft_scope_free(s.scope);
}
