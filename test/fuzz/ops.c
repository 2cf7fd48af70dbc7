/*
 * For libFuzzer: operations on channels, locks, a semaphore, an event, a wait group, a timer and
 * scopes, by four goroutines on one processor. The input says which does what; after each step all
 * of them rest, and each must have got what the model (ops_model.h) says, and wait where it waits.
 * The clock is ours (the linker puts it in place of the system's): it moves from one deadline to
 * the next, so that nothing hangs on how fast anybody is.
 *
 * runs=6000
 * fuzz: objects -Wl,--wrap=wf_os_now src/chan/chan.c src/chan/select.c src/chan/event.c
 * fuzz: src/chan/select_locked.c src/chan/select_two.c
 * fuzz: src/chan/transfer.c src/chan/taken.c src/sync/mutex.c src/sync/rwmutex.c src/sync/sem.c
 * fuzz: src/sync/waitgroup.c src/sched/timer.c src/time/timer.c
 */
#include "ops_model.h"

#include "base/atomic.h"
#include "sched/g.h"
#include "sched/self.h"

#include <stdio.h>

#define STEPS_MAX 400
#define PATIENCE 1000000	/* turns of the driver, in each of which all others have theirs */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int64_t __wrap_wf_os_now(void);

/* One for each worker of the model. */
static struct worker {
	struct op op;
	struct outcome got;
	_Atomic bool is_busy;	/* has an op, and has not done it */
	struct g *_Atomic g;
	weft_scope *scope;
} workers[WORKERS];

static weft_chan *chans[CHANS + 1];
static weft_timer *timer;
static weft_mutex mutex;
static weft_rwmutex rwmutex;
static weft_sem sem;
static weft_event event;
static weft_waitgroup group;
static int64_t n_values;

struct input {
	const uint8_t *data;
	size_t n;
};

int64_t
__wrap_wf_os_now(void)
{
	return *(volatile int64_t *)&model.now;
}

/* ---- The workers ---- */

static struct outcome
run_select(const struct op *op, int64_t *elem, int64_t deadline)
{
	weft_case c[CASES_MAX];
	int64_t got[CASES_MAX] = {0};
	struct outcome o = {0};

	for (int i = 0; i < op->n_cases; i++) {
		weft_chan *chan = chans[op->cases[i].chan];

		c[i] = op->cases[i].op == WEFT_OP_WAIT ? WEFT_WAIT(&event)
		    : op->cases[i].op == WEFT_OP_SEND  ? WEFT_SEND(chan, elem)
						       : WEFT_RECV(chan, &got[i]);
	}
	o.r = weft_select(c, (size_t)op->n_cases, deadline);
	if (o.r >= 0) {
		o.res = c[o.r].res;
		o.value = got[o.r];
	}
	return o;
}

/* Calls that return nothing count as 0. */
#define DO(call) ((call), 0)

static int
run_lock(const struct op *op, int64_t deadline)
{
	switch (op->kind) {
	case OP_LOCK:
		return weft_mutex_lock_until(&mutex, deadline);
	case OP_TRYLOCK:
		return weft_mutex_trylock(&mutex);
	case OP_UNLOCK:
		return DO(weft_mutex_unlock(&mutex));
	case OP_RLOCK:
		return DO(weft_rwmutex_rlock(&rwmutex));
	case OP_TRYRLOCK:
		return weft_rwmutex_tryrlock(&rwmutex);
	case OP_RUNLOCK:
		return DO(weft_rwmutex_runlock(&rwmutex));
	case OP_WLOCK:
		return DO(weft_rwmutex_lock(&rwmutex));
	case OP_TRYWLOCK:
		return weft_rwmutex_trylock(&rwmutex);
	default:
		return DO(weft_rwmutex_unlock(&rwmutex));
	}
}

static struct outcome
run(const struct op *op)
{
	int64_t deadline = op->deadline, elem = op->n, value = 0;
	int r;

	switch (op->kind) {
	case OP_SEND:		r = weft_chan_send(chans[op->chan], &elem, deadline); break;
	case OP_RECV:		r = weft_chan_recv(chans[op->chan], &value, deadline); break;
	case OP_CLOSE:		r = DO(weft_chan_close(chans[op->chan])); break;
	case OP_LEN:		r = (int)weft_chan_len(chans[op->chan]); break;
	case OP_SELECT:		return run_select(op, &elem, deadline);
	case OP_ACQUIRE:	r = weft_sem_acquire(&sem, op->n, deadline); break;
	case OP_TRYACQUIRE:	r = weft_sem_tryacquire(&sem, op->n); break;
	case OP_RELEASE:	r = DO(weft_sem_release(&sem, op->n)); break;
	case OP_WAIT:		r = weft_event_wait(&event, deadline); break;
	case OP_SET:		r = weft_event_set(&event); break;
	case OP_RESET:		r = weft_event_reset(&event); break;
	case OP_ADD:		r = DO(weft_waitgroup_add(&group, 1)); break;
	case OP_DONE:		r = DO(weft_waitgroup_done(&group)); break;
	case OP_WAIT_ALL:	r = weft_waitgroup_wait(&group, deadline); break;
	case OP_SLEEP:		r = weft_sleep(op->n); break;
	case OP_TIMER:		r = weft_timer_reset(timer, deadline, 0); break;
	case OP_TIMER_STOP:	r = weft_timer_stop(timer); break;
	default:		r = run_lock(op, deadline); break;
	}
	return (struct outcome){r, 0, value};
}

static int
work(void *arg)
{
	struct worker *w = arg;

	(void)wf_enter();
	w->g = wf_g();
	wf_leave();
	for (;;) {
		while (!w->is_busy)
			weft_yield();
		if (w->op.kind == OP_EXIT)
			return 0;
		w->got = run(&w->op);
		w->is_busy = false;
	}
}

/* ---- The driver ---- */

static WF_COLD __attribute__((noreturn)) void
differ(int worker, const char *what)
{
	const struct outcome *e = &model.worker[worker].expected, *g = &workers[worker].got;

	fprintf(stderr, "ops: worker %d, operation %d: %s; expected %d %d %lld, got %d %d %lld\n",
	    worker, (int)workers[worker].op.kind, what, e->r, e->res, (long long)e->value, g->r,
	    g->res, (long long)g->value);
	abort();
}

/* Has each done what it was told, or does it wait? */
static bool
is_at_rest(void)
{
	for (int i = 0; i < WORKERS; i++)
		if (workers[i].is_busy &&
		    (workers[i].g == NULL ||
		        wf_load_acquire(&workers[i].g->status) != G_WAITING))
			return false;
	return true;
}

/* Nobody goes on any more, and all have had time to look at the clock. */
static void
settle(int turns)
{
	for (int i = 0; i < turns || !is_at_rest(); i++) {
		if (i == PATIENCE)
			differ(0, "somebody never rests");
		weft_yield();
	}
}

/* What only asks (WEFT_NOW) is no wait: a goroutine that is cancelled may be told either. */
static bool
may_be_told_either(int i)
{
	return workers[i].op.deadline == WEFT_NOW && workers[i].got.r == -ETIMEDOUT &&
	    model.worker[i].expected.r == -ECANCELED;
}

static void
compare(int i)
{
	if (workers[i].op.kind == OP_EXIT)
		return;
	for (int turns = 0; workers[i].is_busy && !model.worker[i].is_blocked; turns++) {
		if (turns == PATIENCE)
			differ(i, "waits, and should not");
		weft_yield();
	}
	if (!workers[i].is_busy && model.worker[i].is_blocked)
		differ(i, "does not wait, and should");
	if (!workers[i].is_busy && !may_be_told_either(i) &&
	    memcmp(&workers[i].got, &model.worker[i].expected, sizeof(struct outcome)) != 0)
		differ(i, "another result");
}

static void
compare_all(int turns)
{
	settle(turns);
	for (int i = 0; i < WORKERS; i++)
		compare(i);
	settle(0);
}

/* Time goes on to `until`, with a look just before and at each moment on the way. */
static void
advance(int64_t until)
{
	enum { LOOKS = 200 };	/* a busy processor looks at the clock every 64 goroutines */
	int64_t next;

	while ((next = next_moment()) <= until) {
		if (next - 1 > model.now) {
			model.now = next - 1;
			compare_all(LOOKS);
		}
		model.now = next;
		happen();
		compare_all(LOOKS);
	}
	model.now = until;
}

static void
cancel(int i)
{
	model.worker[i].is_cancelled = true;
	weft_scope_cancel(workers[i].scope, -ECANCELED);
	if (model.worker[i].is_blocked && is_cancellable(model.worker[i].op.kind))
		give_up(i, -ECANCELED);
	compare_all(0);
}

/* Waits in the model, in each queue that it is put in by the caller; or does not. */
static bool
blocks(int i)
{
	int r = may_wait(i);

	model.worker[i].is_blocked = r == 0;
	if (r < 0)
		complete(i, r, 0, 0);
	return r == 0;
}

static void
block_in(int i, enum queue q)
{
	if (blocks(i))
		put(q, i, 0);
}

#include "ops_steps.h"

static void
begin(const uint8_t *data)
{
	int64_t now = model.now;

	memset(&model, 0, sizeof(model));
	model.now = now;
	model.due = WEFT_FOREVER;
	model.available = PERMITS;
	model.chan[TIMER].cap = 1;
	for (int c = 0; c < CHANS; c++) {
		model.chan[c].cap = data[0] >> (2 * c) & 3;
		chans[c] = weft_chan_new(sizeof(int64_t), (size_t)model.chan[c].cap);
	}
	timer = weft_timer_new(WEFT_FOREVER, 0, NULL, NULL);
	(void)weft_timer_stop(timer);	/* that is never due counts as pending */
	chans[TIMER] = weft_timer_chan(timer);
	memset(&mutex, 0, sizeof(mutex));
	memset(&rwmutex, 0, sizeof(rwmutex));
	memset(&event, 0, sizeof(event));
	memset(&group, 0, sizeof(group));
	memset(&sem, 0, sizeof(sem));
	weft_sem_init(&sem, PERMITS);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.scope = weft_scope_new(NULL, WEFT_FOREVER)};
		if (weft_scope_go(workers[i].scope, work, &workers[i]) != 0)
			abort();
	}
}

/* Whoever waits is cancelled, whoever holds a lock gives it back, and all end. */
static void
end(void)
{
	bool is_any;

	for (int i = 0; i < WORKERS; i++)
		cancel(i);
	do {
		is_any = false;
		for (int i = 0; i < WORKERS; i++) {
			struct op op = {.deadline = WEFT_FOREVER};

			if (model.worker[i].is_blocked || !holds(i))
				continue;
			op.kind = model.worker[i].has_mutex ? OP_UNLOCK
			    : model.worker[i].reads         ? OP_RUNLOCK : OP_WUNLOCK;
			step(i, &op);
			is_any = true;
		}
	} while (is_any);
	for (int i = 0; i < WORKERS; i++) {
		if (model.worker[i].is_blocked)
			differ(i, "is left");
		workers[i].op.kind = OP_EXIT;
		workers[i].is_busy = true;
		weft_scope_free(workers[i].scope);
	}
	for (int c = 0; c < CHANS; c++)
		weft_chan_unref(chans[c]);
	weft_timer_free(timer);
}

static void
drive(void *arg)
{
	const struct input *in = arg;
	size_t at = 1;

	begin(in->data);
	for (int i = 0; i < STEPS_MAX && at + 3 <= in->n; i++, at += 3) {
		advance(model.now + 1);
		decode(in->data + at);
	}
	end();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return setenv("WEFT_MAXPROCS", "1", 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = {data, n};
	weft_waitgroup over = {0};

	if (n == 0)
		return 0;
	if (weft_waitgroup_go(&over, drive, &in) != 0)
		abort();
	return weft_waitgroup_wait(&over, WEFT_FOREVER);
}
