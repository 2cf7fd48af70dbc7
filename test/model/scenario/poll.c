/*
 * Descriptors and the poller (src/poll/README.md, O1-O7, R1-R9, K1-K6, D1-D3, W1-W4, P1-P3): one
 * reader at a time, none that sleeps beside data, an end, a close or a deadline, and none whose
 * number means another descriptor. A thread stands in for the one of the scheduler that polls.
 *
 * model: src/poll/desc.c src/poll/close.c src/poll/ready.c src/poll/until.c src/poll/poller.c
 * model: src/io/run.c src/sched/syscall.c seam/kernel.c
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
#include "seam/kernel.h"
#include "seam/world.h"

#include "io/io.h"
#include "poll/backend.h"
#include "sched/poll.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

const char *const mc_subjects[] = { "poll/desc", "poll/close", "poll/ready", "poll/until",
	"poll/poller", "io/run", NULL };
const char *const mc_put_back[] = { "desc.c", "until.c", "poller.c", NULL };

#define DEADLINE 5000

static int sent[4];			/* by the sender, before the kernel has it */
static int n_sent, n_received;		/* the sender's; the reader's whose turn it is */
static _Atomic int n_over;		/* threads whose waits are over */
static bool has_closer;
static bool is_stream;			/* a receive that takes all is known as such (R7) */

static void
begin(void)
{
	world_foreign(4);
	wf_store_relaxed(&wf_sched.last_poll, 0);	/* somebody waits there: poller() */
	kernel_reset();
	memset(sent, 0, sizeof(sent));
	n_sent = n_received = 0;
	wf_store_relaxed(&n_over, 0);
	is_stream = has_closer = false;
}

static void
two_are_over(void)
{
	MC_ASSERT(wf_load_relaxed(&n_over) == 2 && wf_poll_nwaiters() == 0);
}

static void
one_is_over(void)
{
	MC_ASSERT(wf_load_relaxed(&n_over) == 1 && wf_poll_nwaiters() == 0);
}

/* ---- What threads do ---- */

static struct pd *
record(void)
{
	struct pd *pd;

	MC_ASSERT(wf_pd_get(KERNEL_FD, &pd) == 0);
	return pd;
}

static void
over(void)
{
	(void)wf_add_relaxed(&n_over, 1);
	wf_leave();
	world_scribble();
}

static ssize_t
try_receive(struct io_op *op, struct pd *pd)
{
	bool took_all;
	int r = kernel_receive(&took_all);

	(void)op;
	if (r > 0) {
		MC_ASSERT(sent[n_received] == 7);
		n_received++;
	}
	wf_store_relaxed(&pd->is_drained, is_stream && took_all);		/* R7 */
	return r;
}

static ssize_t
receive(int64_t deadline)
{
	struct io_op op = { .try_fn = try_receive, .knows_drained = true };

	return wf_io_run(KERNEL_FD, PD_READ, &op, deadline);
}

static void
send_one(void)
{
	sent[n_sent++] = 7;
	kernel_send();
}

static void
reader(void)
{
	world_become_foreign();
	(void)wf_enter();
	MC_ASSERT(receive(WEFT_FOREVER) == 1);
	over();
}

static void
reader_of_two(void)
{
	world_become_foreign();
	(void)wf_enter();
	MC_ASSERT(receive(WEFT_FOREVER) == 1);
	MC_ASSERT(receive(WEFT_FOREVER) == 1);
	over();
}

static void
reader_until(void)
{
	ssize_t r;

	world_become_foreign();
	(void)wf_enter();
	r = receive(DEADLINE);
	MC_ASSERT(r == 1 || r == -ETIMEDOUT || (r == -EBADF && has_closer));
	over();
}

static void
sender(void)
{
	send_one();
}

static void
sender_of_two(void)
{
	send_one();
	send_one();
}

/* As a thread in wait_in_poller() does. */
static void
poller(void)
{
	world_become_foreign();
	(void)wf_enter();
	for (;;) {
		struct gqueue q = { 0 };
		uint32_t n;

		wf_poll_wait(-1, &q);
		n = q.n;
		wf_ready_all(&q);
		if (n != 0)
			wf_poll_done(n);
	}
}

/* ---- Readiness and turns ---- */

SCENARIO(a_wait_meets_data, .threads = { reader, sender, poller }, .setup = begin,
    .runs = 3000, .check = one_is_over, .may_rest = true)
SCENARIO(two_waits_meet_data, .threads = { reader_of_two, sender_of_two, poller },
    .setup = begin, .check = one_is_over, .may_rest = true)
SCENARIO(two_readers_take_turns, .threads = { reader, reader, sender_of_two, poller },
    .setup = begin, .runs = 3000, .check = two_are_over, .may_rest = true)
SCENARIO(a_deadline_meets_data, .threads = { reader_until, reader_until, sender, poller },
    .setup = begin, .runs = 3000, .check = two_are_over, .may_rest = true, .early = 1)

static void
reader_until_twice(void)
{
	reader_until();
	reader_until();
}

static void
three_are_over(void)
{
	MC_ASSERT(wf_load_relaxed(&n_over) == 3 && wf_poll_nwaiters() == 0);
}

/* The place in line is given up, and the next turn had by who is alone (O7, O2). */
SCENARIO(a_turn_after_one_given_up,
    .threads = { reader_until, reader_until_twice, sender_of_two, poller }, .setup = begin,
    .runs = 3000, .check = three_are_over, .may_rest = true, .early = 2)

/* Two threads poll: an event that one has taken is told after a later one. */
SCENARIO(two_poll, .threads = { reader_of_two, sender_of_two, poller, poller }, .setup = begin,
    .runs = 3000, .check = one_is_over, .may_rest = true)

/* ---- R7, R8: a reader that does not ask ---- */

static void
a_stream(void)
{
	begin();
	is_stream = true;
}

static void
reader_to_the_end(void)
{
	world_become_foreign();
	(void)wf_enter();
	while (receive(WEFT_FOREVER) == 1)
		;
	over();
}

static void
sender_that_ends(void)
{
	send_one();
	kernel_end();
}

SCENARIO(drained_before_more, .threads = { reader_of_two, sender_of_two, poller },
    .setup = a_stream, .runs = 3000, .check = one_is_over, .may_rest = true)
SCENARIO(drained_before_the_end, .threads = { reader_to_the_end, sender_that_ends, poller },
    .setup = a_stream, .runs = 3000, .check = one_is_over, .may_rest = true)

/* ---- Closing ---- */

static void
reader_that_is_closed(void)
{
	ssize_t r;

	world_become_foreign();
	(void)wf_enter();
	r = receive(WEFT_FOREVER);
	MC_ASSERT(r == 1 || r == -EBADF);
	over();
}

static void
closer(void)
{
	world_become_foreign();
	(void)wf_enter();
	MC_ASSERT(wf_pd_close(record()) == 0);
	over();
}

static int n_closed;			/* under the descriptor's own order: one at most */

static void
closer_of_two(void)
{
	int r;

	world_become_foreign();
	(void)wf_enter();
	r = wf_pd_close(record());
	MC_ASSERT(r == 0 || r == -EBADF);
	if (r == 0)
		n_closed++;
	over();
}

/* The number's next owner: what becomes of the last one's close is nothing to it. */
static void
next_owner(void)
{
	world_become_foreign();
	kernel_open();
	(void)wf_enter();
	send_one();
	MC_ASSERT(receive(WEFT_FOREVER) == 1);
	over();
}

static void
next_owner_that_waits(void)
{
	world_become_foreign();
	kernel_open();
	(void)wf_enter();
	wf_pd_adopt(KERNEL_FD, PD_HOW_SOCKET);
	wf_pd_settle(KERNEL_FD);
	MC_ASSERT(receive(DEADLINE) == -ETIMEDOUT);
	over();
}

static void
one_has_closed(void)
{
	two_are_over();
	MC_ASSERT(n_closed == 1);
}

static void
to_be_closed(void)
{
	begin();
	has_closer = true;
	n_closed = 0;
}

SCENARIO(a_close_meets_a_reader, .threads = { reader_that_is_closed, closer },
    .setup = begin, .runs = 3000, .check = two_are_over)
SCENARIO(a_close_meets_data, .threads = { reader_that_is_closed, closer, sender, poller },
    .setup = begin, .runs = 3000, .check = two_are_over, .may_rest = true)
SCENARIO(a_close_meets_two_readers,
    .threads = { reader_that_is_closed, reader_that_is_closed, closer }, .setup = begin,
    .runs = 3000, .check = three_are_over)
SCENARIO(two_close, .threads = { closer_of_two, closer_of_two }, .setup = to_be_closed,
    .runs = 3000, .check = one_has_closed)
SCENARIO(the_number_is_used_again, .threads = { closer, next_owner }, .setup = begin,
    .runs = 3000, .check = two_are_over)
SCENARIO(a_close_before_the_next_owner,
    .threads = { reader_until, closer, next_owner_that_waits, poller }, .setup = to_be_closed,
    .runs = 3000, .check = three_are_over, .may_rest = true, .early = 1)

/* ---- D1-D3: a deadline is set under those that wait ---- */

static void
reader_that_times_out(void)
{
	world_become_foreign();
	(void)wf_enter();
	MC_ASSERT(receive(WEFT_FOREVER) == -ETIMEDOUT);
	over();
}

static void
setter(void)
{
	struct pd *pd;

	world_become_foreign();
	(void)wf_enter();
	pd = record();
	MC_ASSERT(wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER) == 0);
	MC_ASSERT(wf_pd_until_set(pd, PD_READ, 1) == 0);
	wf_pd_leave(pd, PD_OTHER);
	over();
}

SCENARIO(a_deadline_is_set_under_a_reader, .threads = { reader_that_times_out, setter },
    .setup = begin, .runs = 3000, .check = two_are_over)
SCENARIO(a_deadline_is_set_under_two_readers,
    .threads = { reader_that_times_out, reader_that_times_out, setter }, .setup = begin,
    .runs = 3000, .check = three_are_over)

/* ---- weft_poll beside a reader ---- */

static void
asker(void)
{
	struct pd *pd;

	world_become_foreign();
	(void)wf_enter();
	pd = record();
	MC_ASSERT(wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER) == 0);
	MC_ASSERT(wf_pd_poll(pd, EPOLLIN, WEFT_FOREVER) == EPOLLIN);
	wf_pd_leave(pd, PD_OTHER);
	over();
}

SCENARIO(a_poll_meets_data, .threads = { asker, sender, poller }, .setup = begin,
    .runs = 3000, .check = one_is_over, .may_rest = true)
SCENARIO(a_poll_beside_a_reader, .threads = { asker, reader, sender_of_two, poller },
    .setup = begin, .runs = 3000, .check = two_are_over, .may_rest = true)

/* ---- W1-W4: the poller itself ---- */

static void
monitor(void)
{
	world_become_foreign();
	(void)wf_enter();
	if (wf_poll_revalidate())
		(void)wf_poll_revalidate();
	wf_leave();
}

SCENARIO(a_wait_is_looked_at, .threads = { reader, sender, monitor, poller }, .setup = begin,
    .runs = 3000, .check = one_is_over, .may_rest = true)

static _Atomic int n_brought;

static void
bring(void)
{
	world_become_foreign();
	(void)wf_enter();
	(void)wf_add_relaxed(&n_brought, 1);
	wf_poll_wake();
	wf_leave();
}

static void
wait_for_both(void)
{
	struct gqueue q = { 0 };

	world_become_foreign();
	(void)wf_enter();
	while (wf_load_relaxed(&n_brought) < 2)
		wf_poll_wait(-1, &q);
	wf_leave();
}

static void
nothing_is_brought(void)
{
	begin();
	wf_store_relaxed(&n_brought, 0);
}

SCENARIO(two_wake_the_poller, .threads = { bring, bring, wait_for_both },
    .setup = nothing_is_brought)

static int made_runnable;

static void
one_is_counted(void)
{
	begin();
	wf_poll_count();
	made_runnable = 0;
}

static void
count_down(void)
{
	made_runnable = 1;
	wf_poll_done(1);
}

static void
see_nobody(void)
{
	if (wf_poll_nwaiters() == 0)
		MC_ASSERT(made_runnable == 1);
}

SCENARIO(who_is_counted_is_runnable, .threads = { count_down, see_nobody },
    .setup = one_is_counted)
