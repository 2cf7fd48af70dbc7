/*
 * Threads of the model: coroutines that give way at each operation on shared memory. Who goes on
 * is the search's choice. Futexes, the membarrier, pauses and the clock.
 */
#include "engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STACK_BYTES ((size_t)256 << 10)

struct mc mc;

static _Alignas(64) char stacks[MC_THREADS + 1][STACK_BYTES];

/* ---- The run as a whole ---- */

void
mc_end(enum outcome o)
{
	struct wf_ctx gone;

	mc.outcome = o;
	mc.is_running = false;
	(void)wf_ctx_switch(&gone, &mc.hub, NULL);
	__builtin_unreachable();
}

void
mc_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	int n;

	n = line == 0 ? snprintf(mc.failure, sizeof(mc.failure), "%s: ", file) :
	    snprintf(mc.failure, sizeof(mc.failure), "%s:%d: ", file, line);
	va_start(args, fmt);
	(void)vsnprintf(mc.failure + n, sizeof(mc.failure) - (size_t)n, fmt, args);
	va_end(args);
	mc_end(RUN_FAILED);
}

void
mc_tick(void)
{
	mc_self()->view.clock[mc.current]++;
}

static void
set_current(int next)
{
	if (mc.local_slot != NULL) {
		mc.threads[mc.current].local = *mc.local_slot;
		*mc.local_slot = mc.threads[next].local;
	}
	mc.current = next;
}

static WF_NOINLINE void
switch_to(int next)
{
	int old = mc.current;

	if (next == old)
		return;
	set_current(next);
	(void)wf_ctx_switch(&mc.threads[old].ctx, &mc.threads[next].ctx, NULL);
}

/* ---- Who goes on ---- */

static bool
may_go(const struct thread *t)
{
	switch (t->state) {
	case T_READY:
		return true;
	case T_RELAXED:
		return t->writes_seen != mc.writes;
	case T_ASLEEP:
		return (t->deadline != INT64_MAX && mc.early_left > 0) || mc.wakes_left > 0;
	default:
		return false;
	}
}

/* A wake for no reason must not hide that everybody else sleeps for ever. */
static bool
is_anybody_awake(void)
{
	for (int i = 1; i <= mc.n_threads; i++)
		if (mc.threads[i].state != T_ASLEEP && may_go(&mc.threads[i]))
			return true;
	return false;
}

static bool
is_independent(const struct op *a, const struct op *b)
{
	if (a->kind == OP_ANY || b->kind == OP_ANY)
		return false;
	if (a->kind == OP_START || b->kind == OP_START)
		return true;
	if (a->kind == OP_RELAX || b->kind == OP_RELAX)
		return a->kind != OP_WRITE && b->kind != OP_WRITE;
	if (a->kind == OP_FENCE || b->kind == OP_FENCE)
		return !a->is_sc || !b->is_sc;
	return a->p != b->p || (a->kind == OP_LOAD && b->kind == OP_LOAD);
}

/* The sleep set behind a choice: what was explored before it, and does not depend on it. */
static void
fall_asleep(const int *found, unsigned c)
{
	if (mc.strategy != BY_ALL)
		return;
	for (unsigned i = 0; i < c; i++)
		mc.sleeping |= 1u << found[i];
	for (int i = 1; i <= mc.n_threads; i++)
		if (i == found[c] || !is_independent(&mc.threads[i].op, &mc.threads[found[c]].op))
			mc.sleeping &= ~(1u << i);
}

/* A sleeper is let go without a wake: it times out, or just so. */
static void
end_sleep(struct thread *t, bool is_forced)
{
	bool times_out = t->deadline != INT64_MAX && (is_forced || mc.early_left > 0);

	t->state = T_READY;
	t->wait_result = times_out ? -ETIMEDOUT : 0;
	if (times_out)
		mc.now = wf_max(mc.now, t->deadline);
	if (!is_forced && times_out)
		mc.early_left--;
	else if (!is_forced)
		mc.wakes_left--;
}

/* Who pauses and has not read what is newest goes on; or anybody who pauses. 0: nobody. */
static int
end_pause(bool anybody)
{
	for (int k = 0; k < mc.n_threads; k++) {
		int i = (mc.current + k) % mc.n_threads + 1;
		struct thread *t = &mc.threads[i];

		if (t->state == T_RELAXED && (anybody || t->newest_read_at != mc.writes))
			return i;
	}
	return 0;
}

/*
 * Nobody can go on: who only pauses does, for it may not have read what is newest; then the next
 * deadline passes; or it is over.
 */
static int
when_all_wait(void)
{
	int first = end_pause(false);

	if (first != 0)
		return first;
	for (int i = 1; i <= mc.n_threads; i++)
		if (mc.threads[i].state == T_ASLEEP && mc.threads[i].deadline != INT64_MAX &&
		    (first == 0 || mc.threads[i].deadline < mc.threads[first].deadline))
			first = i;
	if (first != 0) {
		end_sleep(&mc.threads[first], true);
		return first;
	}
	first = end_pause(true);
	if (first != 0)
		return first;
	for (int i = 1; i <= mc.n_threads; i++)
		if (mc.threads[i].state == T_ASLEEP && !mc.scenario->may_rest)
			mc_fail("deadlock", 0, "thread %d sleeps for ever", i);
	mc_end(RUN_OK);
}

/* PCT: the highest priority goes on; at the change points the current thread gets the lowest. */
static unsigned
most_urgent(const int *found, unsigned n)
{
	unsigned best = 0;

	if (mc.strategy != BY_PCT)
		return 0;
	for (unsigned i = 0; i < wf_countof(mc.change_at); i++)
		if (mc.change_at[i] == mc.steps)
			mc_self()->priority = i;
	for (unsigned i = 1; i < n; i++)
		if (mc.threads[found[i]].priority > mc.threads[found[best]].priority)
			best = i;
	return best;
}

/* Chooses who does the next step. */
static int
choose_thread(void)
{
	int found[MC_THREADS], next;
	unsigned place[MC_THREADS], n = 0, n_all = 0, c;
	bool is_current_ready = mc_self()->state == T_READY, all_explored = false;

	if (!is_anybody_awake())
		return when_all_wait();
	for (int k = 0; k <= mc.n_threads; k++) {
		int i = k == 0 ? mc.current : k;

		if (i == 0 || (k != 0 && i == mc.current) || !may_go(&mc.threads[i]))
			continue;
		if (mc.strategy == BY_ALL && (mc.sleeping & (1u << i)) != 0) {
			all_explored = true;
		} else {
			place[n] = n_all;
			found[n++] = i;
		}
		n_all++;
	}
	if (n == 0 && all_explored)
		mc_end(RUN_PRUNED);
	if (is_current_ready && mc.strategy == BY_BOUND && mc.preemptions >= mc.bound)
		n = 1;
	c = mc_decide(PICK_THREAD, n, most_urgent(found, n));
	mc_record(n_all, place[c]);
	next = found[c];
	fall_asleep(found, c);
	if (is_current_ready && next != mc.current)
		mc.preemptions++;
	if (mc.threads[next].state == T_ASLEEP)
		end_sleep(&mc.threads[next], false);
	return next;
}

static void
give_way(void)
{
	int next = choose_thread();

	switch_to(next);
	mc_self()->state = T_READY;
}

void
mc_point(enum op_kind kind, const volatile void *p, bool is_sc)
{
	if (!mc.is_running)	/* setup and check are alone */
		return;
	mc_self()->op = (struct op){ kind, p, is_sc };
	if (++mc.steps > (mc.scenario->steps != 0 ? mc.scenario->steps : MC_STEPS_DEFAULT))
		mc_end(RUN_CUT);
	give_way();
}

/* ---- Life of a thread ---- */

void
mc_thread_end(void)
{
	mc_event("ends", NULL, 0, -1, 0);
	mc_self()->state = T_ENDED;
	mc_self()->op = (struct op){ OP_START, NULL, false };
	mc.writes++;
	switch_to(choose_thread());
	__builtin_unreachable();
}

static void
entry(void *carry)
{
	struct thread *t = mc_self();

	(void)carry;
	t->state = T_READY;
	if (t->start != NULL)
		t->start();
	else
		t->fn(t->arg);
	mc_thread_end();
}

/* A thread that has seen what the current one has. Returns it, not yet with a function. */
static struct thread *
new_thread(void)
{
	int i = mc.n_threads + 1;
	struct thread *t = &mc.threads[i];

	if (i > MC_THREADS)
		mc_fail(__FILE__, __LINE__, "more threads than the engine has");
	mc.n_threads = i;
	t->state = T_READY;
	t->op = (struct op){ OP_START, NULL, false };
	mc_view_copy(&t->view, &mc_self()->view);
	memset(t->acquired.seen, 0, (size_t)mc.n_locations * sizeof(t->acquired.seen[0]));
	memset(t->acquired.clock, 0, sizeof(t->acquired.clock));
	t->has_released = false;
	t->view.clock[i] = 1;
	t->start = NULL;
	t->local = NULL;
	t->deadline = INT64_MAX;
	t->sees_newest = false;
	t->newest_read_at = 0;
	t->priority = 8 + mc_random(1000);
	wf_ctx_init(&t->ctx, entry, (uintptr_t)stacks[i] + STACK_BYTES);
	return t;
}

int
mc_spawn(void (*fn)(void *), void *arg)
{
	struct thread *t;

	if (mc.is_running)
		mc_point(OP_ANY, NULL, false);
	t = new_thread();
	t->fn = fn;
	t->arg = arg;
	mc_event("spawn", NULL, (uint64_t)mc.n_threads, -1, 0);
	mc_tick();
	return mc.n_threads;
}

int
mc_thread(void)
{
	return mc.current;
}

bool
mc_has_ended(int t)
{
	return mc.threads[t].state == T_ENDED;
}

void
mc_thread_local(void **slot)
{
	mc.local_slot = slot;
}

/* ---- Waiting ---- */

int
mc_futex_wait(const volatile void *word, uint32_t expected, int64_t deadline)
{
	struct thread *t = mc_self();
	uint32_t now;

	/* The kernel looks at what is newest, and nobody's wake can come between look and sleep. */
	mc_point(OP_WRITE, word, false);
	memcpy(&now, (const void *)(uintptr_t)word, sizeof(now));
	mc_event("futex wait", NULL, now, -1, 0);
	if (now != expected)
		return -EAGAIN;
	if (deadline != INT64_MAX && deadline <= mc.now)
		return -ETIMEDOUT;
	t->state = T_ASLEEP;
	t->word = word;
	t->deadline = deadline;
	t->wait_result = 0;
	t->op = (struct op){ OP_ANY, NULL, false };
	mc.steps++;		/* PCT may change its mind about who sleeps, too */
	give_way();
	mc_event("futex wakes", NULL, (uint64_t)(uint32_t)t->wait_result, -1, 0);
	return t->wait_result;
}

int
mc_futex_wake(const volatile void *word, int n)
{
	int woken = 0;

	mc_point(OP_WRITE, word, false);
	mc_event("futex wake", NULL, (uint64_t)n, -1, 0);
	while (woken < n) {
		int found[MC_THREADS];
		unsigned sleepers = 0;
		struct thread *t;

		for (int i = 1; i <= mc.n_threads; i++)
			if (mc.threads[i].state == T_ASLEEP && mc.threads[i].word == word)
				found[sleepers++] = i;
		if (sleepers == 0)
			break;
		t = &mc.threads[found[mc_pick(PICK_WAITER, sleepers, 0)]];
		t->state = T_READY;
		t->op = (struct op){ OP_START, NULL, false };
		woken++;
	}
	return woken;
}

void
mc_membarrier(void)
{
	for (int i = 1; i <= mc.n_threads; i++) {
		mc_point(OP_ANY, NULL, true);
		mc_fence_of(mc_self(), MC_SEQ_CST);
		mc_fence_of(&mc.threads[i], MC_SEQ_CST);
		mc.threads[i].view.clock[i]++;	/* what it does next is not released */
	}
	mc_point(OP_ANY, NULL, true);
	mc_fence_of(mc_self(), MC_SEQ_CST);
	mc_event("membarrier", NULL, 0, -1, 0);
	mc_tick();
}

void
mc_relax(void)
{
	struct thread *t = mc_self();

	if (!mc.is_running || mc.current == 0)
		return;
	t->sees_newest = true;
	t->writes_seen = mc.writes;
	t->op = (struct op){ OP_RELAX, NULL, false };
	if (++mc.steps > (mc.scenario->steps != 0 ? mc.scenario->steps : MC_STEPS_DEFAULT))
		mc_end(RUN_CUT);
	/* Loops that end by themselves are tried too, as long as it counts as an early deadline. */
	if (mc.early_left > 0 && mc_pick(PICK_OTHER, 2, 0) == 1) {
		mc.early_left--;
		return;
	}
	t->state = T_RELAXED;
	give_way();
}

int64_t
mc_now(void)
{
	return mc.now;
}

void
mc_advance(int64_t ns)
{
	mc_point(OP_ANY, NULL, false);
	mc.now += ns;
}

unsigned
mc_choose(unsigned n)
{
	return mc_pick(PICK_OTHER, n, 0);
}

/* ---- One execution ---- */

static void
begin(const struct mc_scenario *s)
{
	mc_statics_reset();
	mc_memory_reset();
	mc_race_reset();
	mc.scenario = s;
	mc.n_threads = mc.current = 0;
	mc.steps = mc.preemptions = mc.stale = mc.depth = mc.n_events = mc.n_recorded = 0;
	mc.writes = 1;
	mc.now = 1000;
	mc.sleeping = 0;
	mc.wakes_left = s->wakes;
	mc.early_left = s->early;
	mc.local_slot = NULL;
	mc.outcome = RUN_OK;
	mc.failure[0] = '\0';
	memset(mc.threads[0].view.clock, 0, sizeof(mc.threads[0].view.clock));
	mc.threads[0].state = T_NONE;
	mc.threads[0].local = NULL;
}

static void
all_of_it(void *carry)
{
	const struct mc_scenario *s = mc.scenario;

	(void)carry;
	if (s->setup != NULL)
		s->setup();
	for (int i = 0; i < MC_THREADS && s->threads[i] != NULL; i++)
		new_thread()->start = s->threads[i];
	mc.is_running = true;
	switch_to(choose_thread());
	__builtin_unreachable();
}

/* check() on the hub's side: it may fail like anything else. */
static void
check(void *carry)
{
	(void)carry;
	mc.scenario->check();
	mc_end(RUN_OK);
}

static void
on_stack_0(void (*fn)(void *))
{
	struct thread *t = &mc.threads[0];

	wf_ctx_init(&t->ctx, fn, (uintptr_t)stacks[0] + STACK_BYTES);
	set_current(0);
	(void)wf_ctx_switch(&mc.hub, &t->ctx, NULL);
}

enum outcome
mc_execute(const struct mc_scenario *s)
{
	begin(s);
	on_stack_0(all_of_it);
	if (mc.outcome == RUN_OK && s->check != NULL)
		on_stack_0(check);
	if (mc.steps > mc.length && mc.outcome == RUN_OK)
		mc.length = mc.steps;
	return mc.outcome;
}
