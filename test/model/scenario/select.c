/*
 * Select and events (src/chan/README.md, S1-S7, V1-V7): one case goes, and once; what the others
 * have queued is gone when the call returns; two that meet each other neither lock each other up
 * nor miss each other; an event may be freed as soon as who waited for it has returned.
 *
 * model: src/chan/select.c src/chan/select_locked.c src/chan/select_two.c src/chan/sort.c
 * model: src/chan/event.c src/chan/chan.c src/chan/taken.c
 * model: src/chan/transfer.c
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 */
#include "explore.h"
#include "seam/world.h"

#include "chan/chan.h"
#include "chan/event.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "chan/event", NULL };

#define DEADLINE 5000
#define FIRST 0			/* the channels, by address */
#define SECOND 1

static struct weft_chan chans[2];
static weft_event event;
static _Atomic int n_went;	/* elements that were sent */
static int n_came;		/* that were received */
static int written;		/* before an event is set */

static void
put_back(void)
{
	memset(chans, 0, sizeof(chans));
	for (unsigned i = 0; i < wf_countof(chans); i++) {
		wf_store_relaxed(&chans[i].refs, 1u);
		chans[i].elem_size = sizeof(uint64_t);
	}
	memset(&event, 0, sizeof(event));
	n_came = written = 0;
	wf_store_relaxed(&n_went, 0);
}

static void
begin(void)
{
	unsigned seed = mc_choose(2);

	world_foreign(3);
	for (unsigned i = 0; i < WORLD_MS; i++)
		wf_rand_init(&world.ms[i].rand, i + 16 * seed);
	put_back();
}

/* ---- What threads do ---- */

static weft_case
receives(unsigned i, uint64_t *to)
{
	return (weft_case){ .chan = &chans[i], .op = WEFT_OP_RECV, .elem = to };
}

static weft_case
sends(unsigned i, uint64_t *from)
{
	return (weft_case){ .chan = &chans[i], .op = WEFT_OP_SEND, .elem = from };
}

static weft_case
waits(void)
{
	return (weft_case){ .chan = (weft_chan *)(void *)&event, .op = WEFT_OP_WAIT };
}

/* Receives from either. Which it was, or an error. */
static int
receive_either(int64_t deadline)
{
	uint64_t v[2] = { 0, 0 };
	weft_case cases[] = { receives(SECOND, &v[0]), receives(FIRST, &v[1]) };
	int r = weft_select(cases, wf_countof(cases), deadline);

	MC_ASSERT(r < 0 || cases[r].res == (v[r] == 7 ? 1 : 0));
	MC_ASSERT(r < 0 || v[1 - r] == 0);
	world_scribble();
	return r;
}

static void
select_once(void)
{
	world_become_foreign();
	MC_ASSERT(receive_either(WEFT_FOREVER) >= 0);
	n_came++;
}

static void
select_twice(void)
{
	select_once();
	MC_ASSERT(receive_either(WEFT_FOREVER) >= 0);
	n_came++;
}

static void
select_until(void)
{
	int r;

	world_become_foreign();
	r = receive_either(DEADLINE);
	MC_ASSERT(r >= 0 || r == -ETIMEDOUT);
	if (r >= 0)
		n_came++;
}

static void
send_to(unsigned i, int64_t deadline)
{
	uint64_t v = 7;
	int r;

	world_become_foreign();
	r = weft_chan_send(&chans[i], &v, deadline);
	world_scribble();
	MC_ASSERT(r == 0 || (r == -ETIMEDOUT && deadline != WEFT_FOREVER));
	if (r == 0)
		(void)wf_add_relaxed(&n_went, 1);
}

static void
send_first(void)
{
	send_to(FIRST, WEFT_FOREVER);
}

static void
send_second(void)
{
	send_to(SECOND, WEFT_FOREVER);
}

static void
send_first_until(void)
{
	send_to(FIRST, DEADLINE);
}

static void
send_second_until(void)
{
	send_to(SECOND, DEADLINE);
}

static void
close_second(void)
{
	world_become_foreign();
	weft_chan_close(&chans[SECOND]);
}

static void
queues_are_empty(void)
{
	for (unsigned i = 0; i < wf_countof(chans); i++) {
		MC_ASSERT(chans[i].recvq.head == NULL && chans[i].sendq.head == NULL);
		MC_ASSERT(!wf_load_relaxed(&chans[i].has_sender));
		MC_ASSERT(!wf_load_relaxed(&chans[i].has_receiver));
	}
	MC_ASSERT(((struct event *)(void *)&event)->waiters.head == NULL);
}

static void
what_went_came(void)
{
	queues_are_empty();
	MC_ASSERT(n_came == wf_load_relaxed(&n_went));
}

/* The other sender may still wait. */
static void
one_went_and_came(void)
{
	MC_ASSERT(n_came == 1 && wf_load_relaxed(&n_went) == 1);
}

SCENARIO(either_of_two, .threads = { select_twice, send_first, send_second }, .setup = begin,
    .check = what_went_came)
SCENARIO(one_case_goes_once, .threads = { select_once, send_first_until, send_second },
    .setup = begin, .check = one_went_and_came, .may_rest = true, .early = 1)
SCENARIO(a_select_gives_up, .threads = { select_until, send_first_until, send_second_until },
    .setup = begin, .check = what_went_came, .early = 2)
SCENARIO(a_select_meets_a_close, .threads = { select_once, close_second, send_first_until },
    .setup = begin, .check = queues_are_empty, .early = 1)

/* ---- Two selects meet: one sends to what the other receives from, and the other way round ---- */

static void
meet(unsigned first, unsigned second)
{
	uint64_t in = 0, out = 7;
	weft_case cases[] = { sends(first, &out), receives(second, &in) };
	int r;

	world_become_foreign();
	r = weft_select(cases, wf_countof(cases), WEFT_FOREVER);
	world_scribble();
	MC_ASSERT(r >= 0 && cases[r].res == (r == 0 ? 0 : 1));
	MC_ASSERT(in == (r == 0 ? 0 : 7));
}

static void
meet_one_way(void)
{
	meet(FIRST, SECOND);
}

static void
meet_the_other_way(void)
{
	meet(SECOND, FIRST);
}

/* Both ends of one channel, and another: it must not take itself for a peer. */
static void
both_ends(void)
{
	uint64_t in = 0, out = 7;
	weft_case cases[] = { sends(FIRST, &out), receives(FIRST, &in), receives(SECOND, &in) };
	int r;

	world_become_foreign();
	r = weft_select(cases, wf_countof(cases), WEFT_FOREVER);
	world_scribble();
	MC_ASSERT(r >= 0 && cases[r].res == (r == 0 ? 0 : 1));
}

SCENARIO(two_selects_meet, .threads = { meet_one_way, meet_the_other_way }, .setup = begin,
    .check = queues_are_empty)
SCENARIO(two_with_both_ends_meet, .threads = { both_ends, both_ends }, .setup = begin,
    .check = queues_are_empty)

/* ---- Events ---- */

static void
set(void)
{
	world_become_foreign();
	written = 1;
	MC_ASSERT(weft_event_set(&event));
}

/* The last that needs it: its memory is used for something else. */
static void
wait_and_free(void)
{
	world_become_foreign();
	MC_ASSERT(weft_event_wait(&event, WEFT_FOREVER) == 0);
	MC_ASSERT(written == 1);
	memset(&event, 0, sizeof(event));
}

static void
wait_event(void)
{
	world_become_foreign();
	MC_ASSERT(weft_event_wait(&event, WEFT_FOREVER) == 0);
	MC_ASSERT(written == 1);
	world_scribble();
}

static void
wait_event_until(void)
{
	int r;

	world_become_foreign();
	r = weft_event_wait(&event, DEADLINE);
	MC_ASSERT(r == -ETIMEDOUT || (r == 0 && written == 1));
	world_scribble();
}

static void
select_event_until(void)
{
	uint64_t v = 0;
	weft_case cases[] = { waits(), receives(FIRST, &v) };
	int r;

	world_become_foreign();
	r = weft_select(cases, wf_countof(cases), DEADLINE);
	MC_ASSERT(r == -ETIMEDOUT || (r == 0 && written == 1) || (r == 1 && v == 7));
	world_scribble();
}

static void
select_event_and_free(void)
{
	uint64_t v = 0;
	weft_case cases[] = { waits(), receives(FIRST, &v) };

	world_become_foreign();
	MC_ASSERT(weft_select(cases, wf_countof(cases), WEFT_FOREVER) == 0);
	MC_ASSERT(written == 1);
	memset(&event, 0, sizeof(event));
}

static void
set_reset_set(void)
{
	set();
	MC_ASSERT(weft_event_reset(&event));
	MC_ASSERT(weft_event_set(&event));
}

SCENARIO(an_event_and_its_end, .threads = { set, wait_and_free }, .setup = begin)
SCENARIO(a_selected_event_and_its_end, .threads = { set, select_event_and_free }, .setup = begin)
SCENARIO(an_event_wakes_all, .threads = { set, wait_event, wait_event }, .setup = begin,
    .check = queues_are_empty)
SCENARIO(an_event_meets_deadlines, .threads = { set, wait_event_until, wait_event_until },
    .setup = begin, .check = queues_are_empty, .early = 2)
SCENARIO(an_event_in_a_select, .threads = { set, select_event_until, send_first_until },
    .setup = begin, .check = queues_are_empty, .early = 2)
SCENARIO(an_event_twice, .threads = { set_reset_set, wait_event_until, wait_event },
    .setup = begin, .check = queues_are_empty, .early = 1)

/* ---- The unlocks are done from another stack, beside the goroutine that may run already ---- */

static struct m *m_first, *m_other;
static _Atomic uint32_t n_ended;

static void
goroutine(void *arg)
{
	(void)arg;
	(void)wf_enter();
	wf_leave();
	MC_ASSERT(receive_either(WEFT_FOREVER) == 0);
	(void)wf_add_relaxed(&n_ended, 1);
}

static void
runs_it(void)
{
	world_become(m_first);
	wf_schedule(m_first);
}

static void
sends_and_runs_it(void)
{
	uint64_t v = 7;
	weft_case one[] = { sends(SECOND, &v) };

	world_become(m_other);
	if (weft_select(one, 1, WEFT_NOW) != 0)
		return;
	(void)wf_enter();
	wf_schedule(m_other);
}

static void
on_ps(void)
{
	world_reset(2);
	put_back();
	wf_store_relaxed(&n_ended, 0);
	m_first = world_m(&world.ps[0]);
	m_other = world_m(&world.ps[1]);
	m_other->gate.g = &world.gs[1];
	MC_ASSERT(runq_put(&world.ps[0].runq, world_g(0, goroutine, NULL)));
}

SCENARIO(unlocks_beside_the_goroutine, .threads = { runs_it, sends_and_runs_it }, .setup = on_ps,
    .may_rest = true)
