/*
 * WEFT_DEBUG=schedtrace=MS[,scheddetail=1]: the scheduler's state in the form of Go's
 * schedtrace, which people and scripts know how to read.
 *
 * Under sched.lock, as in Go. What that lock does not cover is read through the kernel or with
 * relaxed loads: it is a snapshot of numbers that move. Fields of Go that have no meaning here
 * (gcwaiting, mallocing, ...) are printed as they are in an idle Go program. weft's own stand
 * behind Go's, where readers of Go's form pass over them.
 */
#include "sched/hooks.h"

#include "debug/out.h"
#include "debug/peek.h"
#include "sched/go.h"
#include "sched/sched.h"

#define STDERR 2

/* A field that its owner writes without a lock. */
static uint32_t
peek_u32(const uint32_t *field)
{
	uint32_t v = 0;

	(void)wf_peek_copy(&v, (uintptr_t)field, sizeof(v), /* direct */ true);
	return v;
}

static void *
peek_pointer(const void *field)
{
	void *v = NULL;

	(void)wf_peek_copy(&v, (uintptr_t)field, sizeof(v), /* direct */ true);
	return v;
}

static void
field(struct wf_out *o, const char *name, uint64_t v)
{
	wf_out_str(o, name);
	wf_out_u64(o, v);
}

/* A number, or nil. */
static void
id_field(struct wf_out *o, const char *name, bool is_there, uint64_t id)
{
	wf_out_str(o, name);
	if (is_there)
		wf_out_u64(o, id);
	else
		wf_out_str(o, "nil");
}

static uint32_t
runq_size(const struct p *p)
{
	return wf_min(runq_len_racy(&p->runq), RUNQ_CAP);
}

static uint32_t
sched_ticks(const struct p *p)
{
	return wf_load_relaxed(&p->schedtick);
}

static void
print_p(struct wf_out *o, const struct p *p)
{
	static const unsigned char go_status[] = {[P_IDLE] = 0, [P_RUNNING] = 1, [P_DEAD] = 4};
	uint32_t status = wf_load_relaxed(&p->status);
	const struct m *m = wf_load_relaxed(&p->m);

	field(o, "  P", p->id);
	field(o, ": status=", status < wf_countof(go_status) ? go_status[status] : status);
	field(o, " schedtick=", sched_ticks(p));
	field(o, " syscalltick=", m != NULL ? wf_load_relaxed(&m->gate.syscall_tick) : 0);
	id_field(o, " m=", m != NULL, m != NULL ? m->id : 0);
	field(o, " runqsize=", runq_size(p));
	field(o, " gfreecnt=", peek_u32(&p->n_free_g));
	field(o, " timerslen=", peek_u32(&p->timers.n));
	wf_out_str(o, "\n");
}

static void
print_m(struct wf_out *o, const struct m *m)
{
	const struct p *p = peek_pointer(&m->p);
	const struct g *g = peek_pointer(&m->gate.g), *locked = peek_pointer(&m->locked_g);

	field(o, "  M", m->id);
	id_field(o, ": p=", p != NULL, p != NULL ? p->id : 0);
	id_field(o, " curg=", g != NULL, g != NULL ? wf_load_relaxed(&g->id) : 0);
	wf_out_str(o, " mallocing=0 throwing=0 preemptoff=");
	field(o, " locks=", wf_load_relaxed(&m->gate.in_runtime));
	wf_out_str(o, " dying=0 spinning=");
	wf_out_str(o, wf_load_relaxed(&m->is_spinning) ? "true" : "false");
	wf_out_str(o, m->is_idle ? " blocked=true" : " blocked=false");
	id_field(o, " lockedg=", locked != NULL,
	    locked != NULL ? wf_load_relaxed(&locked->id) : 0);
	/* weft's own: the thread goes on without a P, blocked or computing. */
	if (wf_load_relaxed(&m->is_detached))
		field(o, " detachedms=", (uint64_t)(wf_load_relaxed(&wf_sched.now_coarse) -
		    wf_load_relaxed(&m->detached_at)) / 1000000);
	wf_out_str(o, "\n");
}

static void
print_g(struct g *g, void *arg)
{
	static const unsigned char go_status[] = {
	    [G_DEAD] = 6, [G_RUNNABLE] = 1, [G_RUNNING] = 2, [G_SYSCALL] = 3, [G_WAITING] = 4};
	struct wf_out *o = arg;
	uint8_t status = wf_load_relaxed(&g->status);
	uint64_t id = wf_load_relaxed(&g->id);
	const struct m *m = peek_pointer(&g->m);
	bool is_on_m = m != NULL && status == G_RUNNING;
	bool is_locked = m != NULL && wf_load_relaxed(&g->locked) != 0;

	if (id == 0 || status >= wf_countof(go_status))
		return;
	field(o, "  G", id);
	field(o, ": status=", go_status[status]);
	wf_out_str(o, "(");
	if (status == G_WAITING)
		wf_out_str(o, wf_wait_reason_name(wf_load_relaxed(&g->wait_reason)));
	id_field(o, ") m=", is_on_m, is_on_m ? m->id : 0);
	id_field(o, " lockedm=", is_locked, is_locked ? m->id : 0);
	wf_out_str(o, "\n");
}

/* weft's own, at the end of the line about all: threads without a P, and why they lost it. */
static void
print_own(struct wf_out *o)
{
	field(o, " detached=", wf_load_relaxed(&wf_sched.n_detached));
	field(o, " detachblocked=", wf_load_relaxed(&wf_sched.n_detach_blocked));
	field(o, " detachcomputing=", wf_load_relaxed(&wf_sched.n_detach_computing));
	field(o, " handoffs=", wf_load_relaxed(&wf_sched.n_hand_offs));
	wf_out_str(o, "\n");
}

/* A number of each P in brackets: "[5 1 3 5]", which Go writes "[ 5 1 3 5 ]" since 1.25. */
static void
print_of_each(struct wf_out *o, const char *name, uint32_t n_p, uint32_t (*of)(const struct p *p))
{
	wf_out_str(o, name);
	for (uint32_t i = 0; i < n_p; i++)
		field(o, i == 0 ? "[" : " ", of(wf_load_acquire(&wf_sched.all_p[i])));
	wf_out_str(o, "]");
}

static void
print_detail(struct wf_out *o, uint32_t n_p)
{
	field(o, " gcwaiting=false nmidlelocked=", wf_sched.n_locked_idle);
	wf_out_str(o, " stopwait=0 sysmonwait=false");
	print_own(o);
	for (uint32_t i = 0; i < n_p; i++)
		print_p(o, wf_load_acquire(&wf_sched.all_p[i]));
	for (const struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next) {
		if (wf_load_relaxed(&m->tid) != 0)
			print_m(o, m);
	}
	wf_g_each(print_g, o);
}

void
wf_schedtrace_print(int64_t ms_since_start, bool detail)
{
	uint32_t procs = wf_load_relaxed(&wf_sched.gomaxprocs);
	uint32_t n_p = wf_min(procs, wf_load_acquire(&wf_sched.n_p));
	static struct wf_out out;	/* under sched.lock, like everything here */
	struct wf_out *o = &out;

	wf_out_init(o, STDERR);
	field(o, "SCHED ", (uint64_t)ms_since_start);
	field(o, "ms: gomaxprocs=", procs);
	field(o, " idleprocs=", wf_load_relaxed(&wf_sched.n_idle_p));
	field(o, " threads=", wf_sched.n_m + (wf_sched.has_monitor ? 1u : 0u));
	field(o, " spinningthreads=", wf_load_relaxed(&wf_sched.n_spinning));
	field(o, " needspinning=", wf_load_relaxed(&wf_sched.needspinning));
	field(o, " idlethreads=", wf_sched.n_idle_m);
	field(o, " runqueue=", wf_sched.runq.n);
	if (detail) {
		print_detail(o, n_p);
	} else {
		print_of_each(o, " ", n_p, runq_size);
		print_of_each(o, " schedticks=", n_p, sched_ticks);
		print_own(o);
	}
	wf_out_flush(o);
}
