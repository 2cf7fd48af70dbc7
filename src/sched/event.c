/*
 * Writing the events of the scheduler into the trace. trace/README.md has the protocol: G1-G6 are
 * its steps. Nothing here waits, allocates but blocks of the trace, or parks.
 */
#include "sched/event.h"

#include "os/os.h"
#include "sched/event_write.h"
#include "sched/sched.h"
#include "trace/encode.h"

struct trace_state wf_trace;

/* What a goroutine waits for, in the words that Go's trace viewer sorts by. */
enum reason { REASON_SYNC = 1, REASON_COND, REASON_SEND, REASON_RECV, REASON_SELECT, REASON_SLEEP,
	REASON_NETWORK, REASON_FOREVER, REASON_GOSCHED, REASON_MAX };

static const char *const reasons[REASON_MAX] = {
	[REASON_SYNC] = "sync",
	[REASON_COND] = "sync.(*Cond).Wait",
	[REASON_SEND] = "chan send",
	[REASON_RECV] = "chan receive",
	[REASON_SELECT] = "select",
	[REASON_SLEEP] = "sleep",
	[REASON_NETWORK] = "network",
	[REASON_FOREVER] = "forever",
	[REASON_GOSCHED] = "runtime.Gosched",
};

_Static_assert(REASON_MAX <= TRACE_STRINGS_OWN, "they have numbers of their own");

const char *
wf_event_own_string(uint32_t id)
{
	return id < REASON_MAX ? reasons[id] : NULL;
}

static enum reason
reason_of(enum wf_wait_reason r)
{
	switch (r) {
	case WAIT_CHAN_RECV:
		return REASON_RECV;
	case WAIT_CHAN_SEND:
		return REASON_SEND;
	case WAIT_SELECT:
		return REASON_SELECT;
	case WAIT_SLEEP:
		return REASON_SLEEP;
	case WAIT_IO:
	case WAIT_LOOKUP:
		return REASON_NETWORK;
	case WAIT_COND:
		return REASON_COND;
	case WAIT_CHAN_RECV_NIL:
	case WAIT_CHAN_SEND_NIL:
	case WAIT_SELECT_NONE:
	case WAIT_GOEXIT:
		return REASON_FOREVER;
	default:
		return REASON_SYNC;
	}
}

/* ---- goroutines ---- */

void
wf_on_go(struct m *m, struct g *g)
{
	struct event_writer w;
	struct trace_packed stack;
	uint64_t first;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	first = wf_event_stack_of(w, wf_g_began_with(g) + 1);
	stack = event_stack(&w);
	event_word_new(&w, &g->trace, TG_RUNNABLE);
	event_put_stack(&w, EV_GO_CREATE, stack, 2, wf_load_relaxed(&g->id), first);
	event_end(&w);
}

void
wf_on_ready(struct m *m, struct g *g)
{
	struct event_writer w;
	struct trace_packed stack;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	event_say_g(&w, g, TG_WAITING, NULL);
	stack = event_stack(&w);
	event_put_stack(&w, EV_GO_UNBLOCK, stack, 2, wf_load_relaxed(&g->id),
	    event_word_next(&w, &g->trace, TG_RUNNABLE, 0));
	event_end(&w);
}

/* g, which was running on m, leaves it. */
static WF_ALWAYS_INLINE void
put_leave(const struct event_writer *w, struct g *g, enum wf_event_how how)
{
	switch (how) {
	case EVENT_PARK:
		event_word_keep(w, &g->trace, TG_WAITING, 0);
		event_put_stack(w, EV_GO_BLOCK, event_stack(w), 1,
		    reason_of(wf_load_relaxed(&g->wait_reason)));
		break;
	case EVENT_YIELD:
		event_word_keep(w, &g->trace, TG_RUNNABLE, 0);
		event_put_stack(w, EV_GO_STOP, event_stack(w), 1, REASON_GOSCHED);
		break;
	case EVENT_END:
		event_word_keep(w, &g->trace, TRACE_GONE, 0);
		event_put(w, EV_GO_DESTROY, 0);
		break;
	}
}

/* g runs on m from now on. */
static WF_ALWAYS_INLINE void
put_run(const struct event_writer *w, struct m *m, struct g *g)
{
	event_say_g(w, g, TG_RUNNABLE, NULL);
	event_put(w, EV_GO_START, 2, wf_load_relaxed(&g->id),
	    event_word_next(w, &g->trace, TG_RUNNING, m->id));
	event_say_labels(w, g);
}

void
wf_on_leave(struct m *m, struct g *g, enum wf_event_how how)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	put_leave(&w, g, how);
	event_end(&w);
}

void
wf_on_switch(struct m *m, struct g *from, enum wf_event_how how, struct g *to)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	put_leave(&w, from, how);
	put_run(&w, m, to);
	event_end(&w);
}

void
wf_on_run(struct m *m, struct g *g)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_p(&w, m);
	put_run(&w, m, g);
	event_end(&w);
}

/* ---- Ps ---- */

void
wf_on_p_start(struct m *m, struct p *p)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say(&w, &p->trace, p->id, EV_PROC_STATUS, TP_IDLE, NULL);
	event_put(&w, EV_PROC_START, 2, p->id,
	    event_word_next(&w, &p->trace, TP_RUNNING, m->id));
	w.t->said = w.gen;	/* it has no goroutine, and this was its P */
	event_end(&w);
}

void
wf_on_p_stop(struct m *m, struct p *p)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_p(&w, m);
	event_word_keep(&w, &p->trace, TP_IDLE, 0);
	event_put(&w, EV_PROC_STOP, 0);
	event_end(&w);
}

void
wf_on_procs(struct m *m, uint32_t n)
{
	struct event_writer w;

	if (m->gate.g == NULL || !event_begin(&w, m))
		return;
	event_say_context(&w, m);
	event_put_stack(&w, EV_PROCS_CHANGE, event_stack(&w), 1, n);
	event_end(&w);
}

/* ---- outside ---- */

/* The goroutine of m, which has a P, goes into a call. */
static void
begin_syscall(const struct event_writer *w, struct m *m, struct trace_packed stack)
{
	struct g *g = m->gate.g;
	struct p *p = m->p;

	event_word_keep(w, &g->trace, TG_SYSCALL, m->id);
	event_put_stack(w, EV_SYSCALL_BEGIN, stack, 1,
	    event_word_next(w, &p->trace, TP_SYSCALL, m->id));
	m->trace.syscall_gen = w->gen;
}

void
wf_on_syscall(struct m *m)
{
	struct event_writer w;

	if (m->p == NULL || !event_begin(&w, m))
		return;
	event_say_context(&w, m);
	begin_syscall(&w, m, event_stack(&w));
	event_end(&w);
}

void
wf_on_syscall_end(struct m *m)
{
	struct event_writer w;

	if (m->p == NULL || !event_begin(&w, m))
		return;
	event_say_context(&w, m);	/* which ends the call */
	event_end(&w);
}

/*
 * A goroutine that is outside without a P is in a call, as far as the trace goes. It says so itself
 * if it has marked the call; else the monitor does, in its name: the thread can't write now.
 */
void
wf_on_detach(struct m *monitor, struct m *m, struct p *p)
{
	struct event_writer w, theirs;

	if (!event_begin(&w, monitor))
		return;
	theirs.gen = w.gen;
	if (!event_open(&theirs, m, w.now)) {
		event_end(&w);
		return;
	}
	if (theirs.t->said != theirs.gen)
		wf_event_say_context_slow(theirs, m, false);
	if (!event_is_in_syscall(&theirs))
		begin_syscall(&theirs, m, TRACE_PACKED_ZERO);
	event_put(&w, EV_PROC_STEAL, 3, p->id,
	    event_word_next(&w, &p->trace, TP_IDLE, 0), wf_load_relaxed(&m->tid));
	event_end(&w);
}

/* Amid the call: a P may stop there, as it does in Go's calls that are known to block. */
void
wf_on_give(struct m *m, struct p *p)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	if (w.t->said != w.gen)
		wf_event_say_context_slow(w, m, false);
	if (!event_is_in_syscall(&w))
		begin_syscall(&w, m, TRACE_PACKED_ZERO);
	event_word_keep(&w, &p->trace, TP_IDLE, 0);
	event_put(&w, EV_PROC_STOP, 0);
	event_end(&w);
}

void
wf_on_reattach(struct m *m, struct g *g, struct p *p)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_g(&w, g, TG_SYSCALL, m);
	w.t->said = w.gen;
	w.t->syscall_gen = 0;
	event_word_keep(&w, &g->trace, TG_RUNNABLE, 0);
	event_put(&w, EV_SYSCALL_END_BLOCKED, 0);
	if (p != NULL) {
		event_say(&w, &p->trace, p->id, EV_PROC_STATUS, TP_IDLE, NULL);
		event_put(&w, EV_PROC_START, 2, p->id,
		    event_word_next(&w, &p->trace, TP_RUNNING, m->id));
		put_run(&w, m, g);
	}
	event_end(&w);
}

/* ---- foreign threads: each is a P of its own, which nobody else ever has ---- */

void
wf_on_adopt(struct m *m)
{
	struct event_writer w;
	struct g *g = &m->bound_g;
	uint64_t p = event_own_p_id(m);

	if (!event_begin(&w, m))
		return;
	w.t->said = w.gen;
	event_say(&w, &m->trace.own_p, p, EV_PROC_STATUS, TP_IDLE, NULL);
	event_put(&w, EV_PROC_START, 2, p,
	    event_word_next(&w, &m->trace.own_p, TP_RUNNING, m->id));
	event_word_new(&w, &g->trace, TG_RUNNABLE);
	event_put(&w, EV_GO_CREATE, 3, wf_load_relaxed(&g->id), 0, 0);
	put_run(&w, m, g);
	event_end(&w);
}

void
wf_on_bound_wakes(struct m *m, struct g *g, bool by_itself)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_p(&w, m);
	if (by_itself) {
		event_say_g(&w, g, TG_WAITING, NULL);
		event_put(&w, EV_GO_UNBLOCK, 3, wf_load_relaxed(&g->id),
		    event_word_next(&w, &g->trace, TG_RUNNABLE, 0), 0);
	}
	put_run(&w, m, g);
	event_end(&w);
}

void
wf_on_foreign_end(struct m *m)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	event_word_keep(&w, &m->bound_g.trace, TRACE_GONE, 0);
	event_put(&w, EV_GO_DESTROY, 0);
	event_word_keep(&w, &m->trace.own_p, TRACE_GONE, 0);
	event_put(&w, EV_PROC_STOP, 0);
	event_end(&w);
}

/* ---- the program's own ---- */

void
wf_on_label(struct m *m)
{
	struct event_writer w;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	wf_event_say_labels(w, m->gate.g);
	event_end(&w);
}

void
wf_on_user(struct m *m, enum wf_event_user what, uint64_t task, uint64_t parent, const char *a,
    const char *b)
{
	struct event_writer w;
	struct trace_packed stack;

	if (!event_begin(&w, m))
		return;
	event_say_context(&w, m);
	stack = event_stack(&w);
	switch (what) {
	case USER_TASK_BEGIN:
		event_put_stack(&w, EV_TASK_BEGIN, stack, 3, task, parent,
		    wf_event_string(w, b));
		break;
	case USER_TASK_END:
		event_put_stack(&w, EV_TASK_END, stack, 1, task);
		break;
	case USER_REGION_BEGIN:
		event_put_stack(&w, EV_REGION_BEGIN, stack, 2, task, wf_event_string(w, b));
		break;
	case USER_REGION_END:
		event_put_stack(&w, EV_REGION_END, stack, 2, task, wf_event_string(w, b));
		break;
	case USER_LOG:
		event_put_stack(&w, EV_LOG, stack, 3, task, wf_event_string(w, a),
		    wf_event_string(w, b));
		break;
	}
	event_end(&w);
}
