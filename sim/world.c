/*
 * Threads of the simulated machine, and who goes on. Contexts of arch/ on one real thread.
 * README.md, "Time" and "Who goes on". Knows nothing of the runtime but its thread-local.
 */
#include "world.h"

#include "real.h"
#include "sched/self_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RELAX_NS 40		/* a pause instruction */
#define CALL_NS 150		/* a system call */
#define STALL_NS_MAX 50000000	/* longer than any round of the monitor */
#define STACK_MIN ((size_t)256 << 10)

struct sim_world wf_sim;

void
wf_sim_note(uint64_t n)
{
	/* As in splitmix64: every bit of n changes half of the hash. */
	uint64_t z = wf_sim.hash ^ (n + 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	wf_sim.hash = z ^ (z >> 27);
}

/* ---- Who can go on ---- */

static void
put_runnable(struct sim_thread *t)
{
	t->state = SIM_RUNNABLE;
	t->at = wf_sim.n_runnable;
	wf_sim.runnable[wf_sim.n_runnable++] = t;
}

static void
take_runnable(struct sim_thread *t)
{
	struct sim_thread *last = wf_sim.runnable[--wf_sim.n_runnable];

	wf_sim.runnable[t->at] = last;
	last->at = t->at;
}

void
wf_sim_wake(struct sim_thread *t, int result)
{
	wf_sim.n_fd_waits -= t->fd >= 0;
	wf_sim.n_stalled -= t->state == SIM_STALLED;
	if (t->state == SIM_BUSY)
		t->cpu_ns += wf_sim.now - t->busy_since;
	t->word = NULL;
	t->fd = -1;
	t->waits_ring = false;
	t->deadline = INT64_MAX;
	t->result = result;
	t->priority = wf_sim_below(1u << 20);
	put_runnable(t);
}

/* Those whose time has come; and when the next one's does. */
static void
wake_expired(void)
{
	int64_t next = INT64_MAX;

	for (uint32_t i = 0; i < wf_sim.n_all; i++) {
		struct sim_thread *t = wf_sim.all[i];

		if (t->state == SIM_RUNNABLE || t->state == SIM_ENDED)
			continue;
		if (t->deadline <= wf_sim.now)
			wf_sim_wake(t, -ETIMEDOUT);
		else if (t->deadline < next)
			next = t->deadline;
	}
	wf_sim.next_deadline = next;
}

/* ---- The choice ---- */

static struct sim_thread *
highest(void)
{
	struct sim_thread *best = wf_sim.runnable[0];

	for (uint32_t i = 1; i < wf_sim.n_runnable; i++)
		if (wf_sim.runnable[i]->priority > best->priority)
			best = wf_sim.runnable[i];
	return best;
}

static struct sim_thread *
pick(void)
{
	struct sim_thread *t;
	int64_t next;

	for (;;) {
		if (wf_sim.now >= wf_sim.next_deadline)
			wake_expired();
		if (wf_sim.now >= wf_sim.ring_due)
			wf_sim_ring_run();
		if (wf_sim.n_fd_waits + wf_sim.n_ring_polls > 0 &&
		    (wf_sim.n_runnable == 0 || wf_sim_below(8) == 0))
			(void)wf_sim_look_at_fds();
		if (wf_sim.n_runnable > 0)
			break;
		next = wf_min(wf_sim.next_deadline, wf_sim.ring_due);
		if (next == INT64_MAX)
			wf_sim_standstill();
		if (next <= wf_sim.now)		/* a request has ended just now */
			continue;
		wf_sim_check_rest(next);
		wf_sim.now = next;
	}
	t = wf_sim.style == SIM_PRIORITY ? highest()
	    : wf_sim.runnable[wf_sim_below(wf_sim.n_runnable)];
	wf_sim.quantum = 1 + wf_sim_below(2 * wf_sim.quantum_mean);
	wf_sim_note((uint64_t)wf_sim.now << 12 | t->id);
	return t;
}

/* First thing on the next stack: that of a thread that has ended is free now. */
static void
bury(void)
{
	if (wf_sim.ended == NULL)
		return;
	wf_sim.ended->next_free = wf_sim.free;
	wf_sim.free = wf_sim.ended;
	wf_sim.ended = NULL;
}

/* What the C++ library keeps for the one real thread belongs to the one that runs. */
static void
exchange_exceptions(struct sim_thread *from, const struct sim_thread *to)
{
	struct wf_os_exceptions *real = wf_os_exceptions();

	if (real == NULL)
		return;
	from->exceptions = *real;
	*real = to->exceptions;
}

/* The next one goes on; returns when the caller does again. Never inlined: see arch/arch.h. */
static WF_NOINLINE void
give_way(void)
{
	struct sim_thread *from = wf_sim.current, *to = pick();

	if (to == from)
		return;
	from->self = wf_self();
	wf_sim.current = to;
	wf_self_set(to->self);
	exchange_exceptions(from, to);
	(void)wf_ctx_switch(&from->ctx, &to->ctx, NULL);
	bury();
}

/* Signal handlers run on whatever thread it was, and to the end. */
static bool
is_in_handler(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return here >= wf_sim.signal_lo && here < wf_sim.signal_hi;
}

static WF_COLD void
choose(void)
{
	if (is_in_handler())
		return;
	if (wf_sim.steps > wf_sim.options.max_steps)
		wf_sim_fail("no end after %llu steps", (unsigned long long)wf_sim.steps);
	wf_sim_check_turns();
	if (wf_sim_fault(WEFT_SIM_STALL, wf_sim.stall_one_in)) {
		(void)wf_sim_block(SIM_STALLED,
		    wf_sim.now + 1 + (int64_t)wf_sim_below(STALL_NS_MAX) / (1 << wf_sim_below(16)));
		return;
	}
	wf_sim.current->priority = --wf_sim.lowest;
	give_way();
}

void
wf_sim_step(void)
{
	if (wf_unlikely(wf_sim.current == NULL))
		return;
	wf_sim.steps++;
	wf_sim.now += wf_sim.step_ns;
	wf_sim.current->cpu_ns += wf_sim.step_ns;
	if (wf_unlikely(--wf_sim.quantum == 0))
		choose();
}

void
wf_sim_relax(void)
{
	if (wf_sim.current == NULL)
		return;
	wf_sim.now += RELAX_NS;
	wf_sim.current->cpu_ns += RELAX_NS;
	wf_sim.steps++;
	choose();
}

void
wf_sim_call(void)
{
	wf_sim.now += CALL_NS;
	wf_sim.current->cpu_ns += CALL_NS;
	wf_sim.steps++;
	if (wf_sim_below(4) == 0)
		choose();
}

int
wf_sim_block(enum sim_state state, int64_t deadline)
{
	struct sim_thread *t = wf_sim.current;

	take_runnable(t);
	t->state = state;
	t->deadline = deadline;
	if (state == SIM_BUSY)
		t->busy_since = wf_sim.now;
	wf_sim.n_stalled += state == SIM_STALLED;
	wf_sim.n_fd_waits += t->fd >= 0;
	if (deadline < wf_sim.next_deadline)
		wf_sim.next_deadline = deadline;
	give_way();
	return t->result;
}

/* ---- Birth and end ---- */

/* The first function of every thread. */
static void
thread_main(void *carry)
{
	struct sim_thread *t = wf_sim.current;

	(void)carry;
	bury();
	t->fn(t->arg);
	wf_sim_thread_end();
}

static struct sim_thread *
thread_alloc(size_t stack_bytes)
{
	struct sim_thread *t = wf_sim.free;
	size_t bytes = stack_bytes > STACK_MIN ? stack_bytes : STACK_MIN;
	void *stack;

	if (t != NULL && t->stack_hi - t->stack_lo >= bytes) {
		wf_sim.free = t->next_free;
		return t;
	}
	if (wf_sim.n_all == WF_SIM_THREADS || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	stack = wf_real_map(bytes);
	if (stack == NULL) {
		free(t);
		return NULL;
	}
	(void)wf_os_protect_none(stack, wf_os_page_size());
	t->stack_lo = (uintptr_t)stack + wf_os_page_size();
	t->stack_hi = (uintptr_t)stack + bytes;
	t->id = wf_sim.n_all;
	wf_sim.all[wf_sim.n_all++] = t;
	return t;
}

struct sim_thread *
wf_sim_thread_new(void (*fn)(void *), void *arg, size_t stack_bytes)
{
	struct sim_thread *t = thread_alloc(stack_bytes);

	if (t == NULL)
		return NULL;
	t->self = NULL;
	t->fn = fn;
	t->arg = arg;
	t->exit_fn = NULL;
	t->is_foreign = false;
	t->word = NULL;
	t->fd = -1;
	t->waits_ring = false;
	t->deadline = INT64_MAX;
	t->cpu_ns = 0;
	t->priority = wf_sim_below(1u << 20);
	wf_ctx_init(&t->ctx, thread_main, t->stack_hi);
	wf_sim.n_live++;
	put_runnable(t);
	return t;
}

void
wf_sim_thread_end(void)
{
	struct sim_thread *t = wf_sim.current;

	if (t->exit_fn != NULL)
		t->exit_fn(t->exit_arg);
	wf_sim_ring_thread_ends(t);
	wf_sim.n_live--;
	wf_sim.n_foreign -= t->is_foreign;
	take_runnable(t);
	t->state = SIM_ENDED;
	wf_sim.ended = t;
	give_way();
	__builtin_unreachable();
}
