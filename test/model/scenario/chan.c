/*
 * Channels (src/chan/README.md): each element goes over once or not at all, looks without the lock
 * (L1-L3) tell the truth, a close reaches everybody (Y1-Y4), nobody touches a channel or a frame
 * that may be gone. The threads are not weft's, so that a wait takes few steps; what runs a
 * goroutine is in park.c and select.c.
 *
 * model: src/chan/chan.c src/chan/transfer.c src/chan/taken.c
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c seam/os.c seam/world.c
 * model: -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1 -Dfree=model_free
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 */
#include "explore.h"
#include "seam/world.h"

#include "chan/chan.h"

#include <errno.h>
#include <string.h>

const char *const mc_subjects[] = { "chan/", NULL };

#define CAP 2
#define DEADLINE 5000

static struct {
	struct weft_chan c;
	uint64_t elems[CAP];
} memory;

static struct weft_chan *const chan = &memory.c;
static bool is_freed;
static int sent[4], received[4], results[4];

/* What owned the memory writes no more: whoever still touches it races. */
void model_free(void *p);
void
model_free(void *p)
{
	MC_ASSERT(p == chan && !is_freed);
	is_freed = true;
	memset(p, 0x5a, sizeof(struct weft_chan));
}

static void
begin(size_t cap, unsigned n_threads)
{
	world_foreign(n_threads);
	memset(&memory, 0, sizeof(memory));
	wf_store_relaxed(&chan->refs, 1u);
	chan->cap = cap;
	chan->elem_size = sizeof(uint64_t);
	is_freed = false;
	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	memset(results, 0, sizeof(results));
}

/* One element is in it. */
static void
fill(void)
{
	memory.elems[0] = 1;
	chan->put_at = chan->cap == 1 ? 0 : 1;
	wf_store_relaxed(&chan->count, (size_t)1);
}

static void
unbuffered(void)
{
	begin(0, 3);
}

static void
buffered(void)
{
	begin(1, 3);
}

static void
filled(void)
{
	begin(1, 3);
	fill();
}

static void
filled_is_sent(void)
{
	filled();
	sent[1] = 1;
}

/* All threads own it. */
static void
shared_by_two(void)
{
	begin(1, 2);
	wf_store_relaxed(&chan->refs, 2u);
}

/* ---- What threads do. Each notes what it has sent, received, and been told ---- */

static int
put(uint64_t v, int64_t deadline)
{
	int r = weft_chan_send(chan, &v, deadline);

	world_scribble();
	if (r == 0)
		sent[v]++;
	return r;
}

static int
take(int64_t deadline)
{
	uint64_t v = 9;
	int r = weft_chan_recv(chan, &v, deadline);

	world_scribble();
	MC_ASSERT(r != 0 || v == 0);
	MC_ASSERT(r <= 0 || v < wf_countof(received));
	if (r > 0)
		received[v]++;
	return r;
}

#define SENDER(name, value, deadline) \
	static void name(void) \
	{ \
		world_become_foreign(); \
		results[mc_thread()] = put(value, deadline); \
	}

SENDER(send_1, 1, WEFT_FOREVER)
SENDER(send_2, 2, WEFT_FOREVER)
SENDER(send_1_until, 1, DEADLINE)

static void
recv_one(void)
{
	world_become_foreign();
	results[mc_thread()] = take(WEFT_FOREVER);
}

static void
recv_until(void)
{
	world_become_foreign();
	results[mc_thread()] = take(DEADLINE);
}

static void
recv_two(void)
{
	world_become_foreign();
	MC_ASSERT(take(WEFT_FOREVER) == 1);
	MC_ASSERT(take(WEFT_FOREVER) == 1);
}

/* Each value that was sent has come once, or is still in the ring. */
static void
each_went_once(void)
{
	int in_ring = (int)wf_load_relaxed(&chan->count);

	for (unsigned v = 1; v < wf_countof(sent); v++) {
		MC_ASSERT(received[v] <= sent[v] && sent[v] <= 1);
		in_ring -= sent[v] - received[v];
	}
	MC_ASSERT(in_ring == 0);
}

/* And nobody is on a queue. */
static void
nothing_lost(void)
{
	each_went_once();
	MC_ASSERT(chan->recvq.head == NULL && chan->sendq.head == NULL);
	MC_ASSERT(!wf_load_relaxed(&chan->has_sender) && !wf_load_relaxed(&chan->has_receiver));
}

/* One who waits for ever got it, unless the other did before his deadline. */
static void
somebody_has_it(void)
{
	each_went_once();
	MC_ASSERT(sent[1] == 1 && received[1] == 1);
}

SCENARIO(one_element, .threads = { send_1, recv_one }, .setup = unbuffered, .check = nothing_lost)
SCENARIO(two_senders, .threads = { send_1, send_2, recv_two }, .setup = unbuffered,
    .check = nothing_lost)
SCENARIO(two_senders_and_a_slot, .threads = { send_1, send_2, recv_two }, .setup = buffered,
    .check = nothing_lost)
SCENARIO(a_sender_is_let_in, .threads = { send_2, recv_one }, .setup = filled_is_sent,
    .check = each_went_once)
SCENARIO(a_receiver_gives_up, .threads = { send_1_until, recv_until }, .setup = unbuffered,
    .check = nothing_lost, .early = 2)
SCENARIO(one_of_two_receivers_gives_up, .threads = { recv_until, recv_one, send_1 },
    .setup = unbuffered, .check = somebody_has_it, .may_rest = true, .early = 1)

/* ---- What is written before a send is seen after its receive, and back ---- */

static int before_send, before_recv;

static void
publish_both(void)
{
	unbuffered();
	before_send = before_recv = 0;
}

static void
send_published(void)
{
	world_become_foreign();
	before_send = 1;
	MC_ASSERT(put(1, WEFT_FOREVER) == 0);
	MC_ASSERT(before_recv == 1);
}

static void
recv_published(void)
{
	world_become_foreign();
	before_recv = 1;
	MC_ASSERT(take(WEFT_FOREVER) == 1);
	MC_ASSERT(before_send == 1);
}

SCENARIO(both_see_what_was_before, .threads = { send_published, recv_published },
    .setup = publish_both, .check = nothing_lost)

/* ---- Looks without the lock ---- */

static void
close_and_recv(void)
{
	world_become_foreign();
	weft_chan_close(chan);
	MC_ASSERT(take(WEFT_FOREVER) >= 0);
}

/* With an element, then closed: it is ready all the time. */
static void
recv_now_is_ready(void)
{
	world_become_foreign();
	MC_ASSERT(take(WEFT_NOW) >= 0);
}

SCENARIO(always_ready_to_receive, .threads = { close_and_recv, recv_now_is_ready },
    .setup = filled_is_sent, .check = nothing_lost)

/* A closed channel has an end, whatever is in it. */
static void
close_and_drain(void)
{
	world_become_foreign();
	weft_chan_close(chan);
	results[0] = (int)wf_chan_drain(chan);
}

static void
received_or_drained(void)
{
	MC_ASSERT(results[0] + received[1] == 1);
}

SCENARIO(drained_behind_its_close, .threads = { close_and_drain, recv_now_is_ready },
    .setup = filled_is_sent, .check = received_or_drained)

static void
send_and_close(void)
{
	world_become_foreign();
	before_send = 1;
	MC_ASSERT(put(1, WEFT_FOREVER) == 0);
	before_recv = 1;
	weft_chan_close(chan);
}

/* The last element comes before the end, and the end tells what was before it (N1, L3). */
static void
recv_to_the_end(void)
{
	unsigned n = 0;
	int r;

	world_become_foreign();
	while ((r = take(WEFT_NOW)) != 0) {
		n += r == 1;
		if (r < 0)
			mc_relax();
	}
	MC_ASSERT(n == 1 && before_recv == 1);
}

SCENARIO(end_after_the_last_element, .threads = { send_and_close, recv_to_the_end },
    .setup = buffered, .check = nothing_lost)

/* Its receiver waits, until a close takes it: never neither. */
static void
send_now_to_who_waits(void)
{
	int r;

	world_become_foreign();
	while (!wf_load_acquire(&chan->has_receiver))
		if (wf_load_acquire(&chan->closed))
			return;
		else
			mc_relax();
	r = put(1, WEFT_NOW);
	MC_ASSERT(r == 0 || r == -EPIPE);
}

static void
close_it(void)
{
	world_become_foreign();
	weft_chan_close(chan);
}

/* The same the other way round. */
static void
recv_now_from_who_waits(void)
{
	world_become_foreign();
	while (!wf_load_acquire(&chan->has_sender))
		if (wf_load_acquire(&chan->closed))
			return;
		else
			mc_relax();
	MC_ASSERT(take(WEFT_NOW) >= 0);
}

SCENARIO(always_ready_to_receive_unbuffered,
    .threads = { recv_now_from_who_waits, send_1, close_it }, .setup = unbuffered,
    .check = nothing_lost)
SCENARIO(always_ready_to_send, .threads = { send_now_to_who_waits, recv_one, close_it },
    .setup = unbuffered, .check = nothing_lost)

/* ---- Close, with some who wait ---- */

static void
recv_end(void)
{
	world_become_foreign();
	MC_ASSERT(take(WEFT_FOREVER) == 0);
}

static void
recv_end_until(void)
{
	int r;

	world_become_foreign();
	r = take(DEADLINE);
	MC_ASSERT(r == 0 || r == -ETIMEDOUT);
}

static void
send_end_until(void)
{
	int r;

	world_become_foreign();
	r = put(1, DEADLINE);
	MC_ASSERT(r == -EPIPE || r == -ETIMEDOUT);
}

static void
one_is_left(void)
{
	MC_ASSERT(wf_load_relaxed(&chan->count) == 1);
	MC_ASSERT(chan->recvq.head == NULL && chan->sendq.head == NULL);
}

SCENARIO(close_wakes_all, .threads = { recv_end, recv_end, close_it }, .setup = unbuffered,
    .check = nothing_lost)
SCENARIO(close_meets_a_deadline, .threads = { recv_end_until, recv_end, close_it },
    .setup = unbuffered, .check = nothing_lost, .early = 1)
SCENARIO(close_meets_two_deadlines, .threads = { recv_end_until, recv_end_until, close_it },
    .setup = unbuffered, .check = nothing_lost, .early = 2)
SCENARIO(close_meets_senders, .threads = { send_end_until, send_end_until, close_it },
    .setup = filled_is_sent, .check = one_is_left, .early = 2)

/* ---- The last reference ---- */

static void
send_and_drop(void)
{
	world_become_foreign();
	MC_ASSERT(put(1, WEFT_FOREVER) == 0);
	weft_chan_unref(chan);
}

static void
recv_and_drop(void)
{
	world_become_foreign();
	MC_ASSERT(take(WEFT_FOREVER) == 1);
	weft_chan_unref(chan);
}

/* It has no reference: the other may free the channel before the close has returned. */
static void
close_what_is_dropped(void)
{
	world_become_foreign();
	before_send = 1;
	weft_chan_close(chan);
}

static void
see_the_close_and_drop(void)
{
	world_become_foreign();
	while (put(1, WEFT_NOW) != -EPIPE)
		mc_relax();
	MC_ASSERT(before_send == 1);
	weft_chan_unref(chan);
}

static void
is_gone(void)
{
	MC_ASSERT(is_freed);
}

static void
unbuffered_shared_by_two(void)
{
	begin(0, 2);
	wf_store_relaxed(&chan->refs, 2u);
}

static void
full(void)
{
	begin(1, 2);
	fill();
}

SCENARIO(both_drop_it, .threads = { send_and_drop, recv_and_drop },
    .setup = unbuffered_shared_by_two, .check = is_gone)
SCENARIO(both_drop_it_with_a_slot, .threads = { send_and_drop, recv_and_drop },
    .setup = shared_by_two, .check = is_gone)
SCENARIO(a_close_seen_and_dropped, .threads = { close_what_is_dropped, see_the_close_and_drop },
    .setup = full, .check = is_gone)

/* ---- A timer's channel: sent to and emptied by whoever holds the heap's lock ---- */

static void
fire_and_drain(void)
{
	uint64_t v = 1;
	struct gqueue ready = { 0 };

	world_become_foreign();
	MC_ASSERT(wf_chan_trysend_collect(chan, &v, &ready) == 0);
	wf_ready_all(&ready);
	sent[1] = 1;
	results[0] = (int)wf_chan_drain(chan);
}

static void
recv_now(void)
{
	world_become_foreign();
	results[mc_thread()] = take(WEFT_NOW);
}

/* Received, or drained, and whoever stopped the timer knows which. */
static void
one_of_both(void)
{
	MC_ASSERT(results[0] + (results[2] == 1) + (results[3] == 1) == 1);
	MC_ASSERT(wf_load_relaxed(&chan->count) == 0);
}

SCENARIO(a_drain_meets_receivers, .threads = { fire_and_drain, recv_now, recv_until },
    .setup = buffered, .check = one_of_both, .early = 1)
