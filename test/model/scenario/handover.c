/*
 * Requests that are put into the ring (src/poll/README.md, "Handing over", H1-H5): whoever sleeps
 * in the kernel until something is complete, nothing that could be is left outside. And U8.
 *
 * model: src/poll/ring.c src/sched/lock.c seam/uring.c
 * model: -DWF_SMALL -DSPIN_ROUNDS=1 -DYIELDS=1000
 */
#include "explore.h"
#include "seam/uring.h"

#include "poll/ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

const char *const mc_subjects[] = { "poll/ring", NULL };
const char *const mc_put_back[] = { "ring.c", NULL };

/* A request, and what was written before it was put in: plain, so a missing edge is a race. */
struct request {
	struct ring_op op;
	int written;
	_Atomic int n_done;
};

static struct request requests[3];
static int n_requests;

static void
done(struct ring_op *op, int32_t res, struct gqueue *ready)
{
	struct request *r = wf_container_of(op, struct request, op);

	(void)ready;
	MC_ASSERT(res == 0 && r->written == 1);
	(void)wf_add_relaxed(&r->n_done, 1);
}

static void
begin(int n, uint32_t room)
{
	uring_reset(room);
	memset(requests, 0, sizeof(requests));
	n_requests = n;
	MC_ASSERT(wf_ring_on());
}

/* There is no ring yet. */
static void
none(void)
{
	uring_reset(4);
	memset(requests, 0, sizeof(requests));
	n_requests = 1;
}

static void one(void) { begin(1, 4); }
static void two(void) { begin(2, 4); }
static void two_in_no_room(void) { begin(2, 1); }

static void
one_is_refused(void)
{
	begin(1, 4);
	uring_refuse(1);
}

static void
two_are_refused(void)
{
	begin(2, 4);
	uring_refuse(1);
}

static void
all_are_done(void)
{
	for (int i = 0; i < n_requests; i++)
		MC_ASSERT(wf_load_relaxed(&requests[i].n_done) == 1);
}

/* ---- What threads do ---- */

static int
hand(int i, int (*way)(const struct io_uring_sqe *, struct ring_op *))
{
	static const struct io_uring_sqe nop = {.opcode = IORING_OP_NOP, .fd = -1};

	requests[i].op.done = done;
	requests[i].written = 1;
	return way(&nop, &requests[i].op);
}

/* As who cannot wait just now: again after a moment. */
static void
put(int i)
{
	while (hand(i, wf_ring_put) < 0)
		mc_relax();
}

static void put_first(void) { put(0); }
static void put_second(void) { put(1); }

static void
put_both(void)
{
	put(0);
	put(1);
}

static void
submit_second(void)
{
	while (hand(1, wf_ring_submit) < 0)
		mc_relax();
}

/* Who polls. Nobody tells it to look again but the ring. */
static void
poll_all(void)
{
	struct gqueue ready = { 0 };
	int left;

	do {
		(void)wf_ring_wait(-1);
		wf_ring_reap(&ready);
		left = n_requests;
		for (int i = 0; i < n_requests; i++)
			left -= wf_load_relaxed(&requests[i].n_done);
	} while (left > 0);
}

/* Who only looks hands over, too. */
static void
put_and_look(void)
{
	struct gqueue ready = { 0 };

	put(0);
	(void)wf_ring_wait(0);
	wf_ring_reap(&ready);
}

/* ---- The ring is made meanwhile (U8) ---- */

static void
make_and_put(void)
{
	MC_ASSERT(wf_ring_on());
	put(0);
}

static void
make_and_poll(void)
{
	MC_ASSERT(wf_ring_on());
	poll_all();
}

static void
make_and_submit(void)
{
	MC_ASSERT(wf_ring_on());
	while (hand(0, wf_ring_submit) < 0)
		mc_relax();
}

/* As who polls something else, and has it told of the ring. */
static void
reap_all(void)
{
	struct gqueue ready = { 0 };

	while (wf_load_relaxed(&requests[0].n_done) == 0) {
		wf_ring_reap(&ready);
		mc_relax();
	}
}

SCENARIO(made_by_two, .threads = { make_and_put, make_and_poll }, .setup = none,
    .check = all_are_done)
SCENARIO(reaped_by_who_did_not_make_it, .threads = { make_and_submit, reap_all }, .setup = none,
    .check = all_are_done)
SCENARIO(put_beside_a_wait, .threads = { put_first, poll_all }, .setup = one,
    .check = all_are_done)
SCENARIO(two_put_beside_a_wait, .threads = { put_first, put_second, poll_all }, .setup = two,
    .check = all_are_done)
SCENARIO(submitted_behind_what_was_put, .threads = { put_first, submit_second, poll_all },
    .setup = two, .check = all_are_done)
SCENARIO(put_into_a_full_ring, .threads = { put_both, poll_all }, .setup = two_in_no_room,
    .check = all_are_done)
SCENARIO(put_and_not_taken, .threads = { put_first, poll_all }, .setup = one_is_refused,
    .check = all_are_done)
SCENARIO(put_behind_what_was_not_taken, .threads = { put_first, submit_second, poll_all },
    .setup = two_are_refused, .check = all_are_done)
SCENARIO(put_and_looked, .threads = { put_and_look }, .setup = one, .check = all_are_done)
