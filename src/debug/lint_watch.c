/*
 * Lints that only somebody else can find: a goroutine that computes for long without a scheduling
 * point, or is blocked in a system call that weft was not told of. The monitor looks at each thread
 * that runs a goroutine. README.md, "Lints".
 */
#include "debug/lint.h"

#include "debug/peek.h"
#include "os/os.h"
#include "sched/sched.h"

#include <signal.h>

#define LONG_NS 10000000	/* as a slice */
#define STILL_LOOKS 3		/* at least, before a thread counts as blocked */
/*
 * So many stacks of a run, WF_LINT_ROUND_NS apart and all of known places: then it is left alone,
 * since who computes for hours must not pay for a signal and a walk each time. Of what takes a
 * quarter of a run's time nine in ten are seen by then; the others at its next run.
 */
#define LINT_ENOUGH 8
/* As Go's: hardly ever used, and harmless when it comes for nothing. */
#define SIGNAL SIGURG

static bool has_signal;		/* constant after boot */

/* ---- a thread that computes shows its own stack ---- */

static void
show(struct m *m, const void *uctx)
{
	uintptr_t regs[WF_NREGS], lo, hi;
	struct dump *d = wf_lint_begin();
	struct g *g;
	bool is_known;
	uint8_t n;

	if (d == NULL)
		return;			/* it computes on, so there will be another time */
	(void)wf_os_sigregs(uctx, regs, WF_NREGS);
	g = wf_dump_current(regs[WF_REG_SP]);
	is_known = wf_dump_bounds(g, regs[WF_REG_SP], &lo, &hi);
	wf_unwind_signal(&d->u, uctx, lo, hi, is_known);
	wf_dump_collect(d, HIDE_NOTHING, 0, g);
	n = (uint8_t)(wf_load_relaxed(&m->lint.n_shown) + 1);
	if (g != NULL && wf_lint_is_new(d, LINT_COMPUTES)) {
		n = LINT_ENOUGH;
		wf_lint_head(d, g);
		wf_out_str(&d->out, "has computed for 10 ms without a scheduling point");
		wf_lint_body(d, g, g, "running",
		    "it keeps its processor from others meanwhile: call weft_yield() now and then, "
		    "or let weft_blocking() do it");
	}
	wf_store_relaxed(&m->lint.n_shown, n);
	wf_lint_end_report(d);
}

static void
on_signal(int sig, siginfo_t *info, void *uctx)
{
	int saved = wf_os_errno_save();
	struct m *m = wf_self();

	(void)sig;
	(void)info;
	/* Inside the runtime it is about to wait, or to run another. */
	if (m != NULL && wf_xchg_acquire(&m->lint.is_asked, (uint8_t)0) != 0 &&
	    wf_load_relaxed(&m->gate.in_runtime) == 0)
		show(m, uctx);
	wf_os_errno_restore(saved);
}

bool
wf_lint_owns(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == on_signal;
}

void
wf_lint_watch_init(void)
{
	struct sigaction old;

	/* A program that has a use for the signal goes without this lint. */
	has_signal = wf_os_sigaction_get(SIGNAL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
	    old.sa_handler == SIG_DFL && wf_os_sigaction_deferred(SIGNAL, on_signal) == 0;
}

static void
ask(struct m *m)
{
	struct sigaction now;

	if (!has_signal || wf_os_sigaction_get(SIGNAL, &now) != 0 || !wf_lint_owns(&now))
		return;
	wf_store_release(&m->lint.is_asked, 1);
	(void)wf_os_thread_kill(wf_load_relaxed(&m->tid), SIGNAL);
}

/* ---- one that is blocked is read by us ---- */

/* Its frames, from where the kernel says that it waits: only three registers are known of it. */
static void
collect_blocked(struct dump *d, const struct g *g, uintptr_t sp, uintptr_t pc)
{
	struct wf_ctx at = {.sp = sp, .pc = pc};
	uintptr_t lo = wf_load_relaxed(&g->stack_lo), hi = wf_load_relaxed(&g->stack_hi);

	d->n = 0;
	if (sp < lo || sp >= hi)
		return;
	wf_unwind_ctx(&d->u, &at, lo, hi, /* is_known */ true);
	wf_dump_collect(d, HIDE_NOTHING, 0, g);
}

/* "read()", or "system call 17" if it is none that is known to block. */
static void
print_call(struct dump *d, long call)
{
	const char *name = wf_os_syscall_name(call);

	if (name != NULL) {
		wf_out_str(&d->out, name);
		wf_out_str(&d->out, "()");
	} else {
		wf_out_str(&d->out, "system call ");
		wf_out_i64(&d->out, call);
	}
}

static void
report_blocked(struct m *m)
{
	uintptr_t sp, pc, sp_now, pc_now;
	int tid = wf_load_relaxed(&m->tid);
	struct g *g = NULL, copy;
	long call, call_now;
	struct dump *d;

	if (wf_os_thread_place(tid, &call, &sp, &pc) != 0 ||
	    !wf_peek_copy(&g, (uintptr_t)&m->gate.g, sizeof(g), true) || g == NULL ||
	    !wf_peek_copy(&copy, (uintptr_t)g, sizeof(copy), true) ||
	    (d = wf_lint_begin()) == NULL)
		return;
	collect_blocked(d, &copy, sp, pc);
	/* If it still waits there, it has all the time. */
	if (wf_os_thread_place(tid, &call_now, &sp_now, &pc_now) == 0 && sp_now == sp &&
	    pc_now == pc && wf_load_relaxed(&m->gate.in_runtime) == 0) {
		wf_store_relaxed(&m->lint.n_shown, LINT_ENOUGH);
		if (wf_lint_is_new(d, LINT_BLOCKS)) {
			wf_lint_head(d, &copy);
			wf_out_str(&d->out, "has been blocked for 10 ms in ");
			print_call(d, call);
			wf_out_str(&d->out, ", and weft was not told");
			wf_lint_body(d, g, &copy, "running",
			    "use weft's own call for it, or weft_blocking(), or put "
			    "weft_syscall_enter() and weft_syscall_exit() around it");
		}
	}
	wf_lint_end_report(d);
}

/* ---- looking ---- */

static void
renew(struct m *m, const struct p *p, int64_t now)
{
	struct m_lint *l = &m->lint;

	l->p = p;
	l->tick = p != NULL ? wf_load_relaxed(&p->schedtick) : 0;
	l->picks = p != NULL ? wf_load_relaxed(&p->picks) : 0;
	l->detached_at = wf_load_relaxed(&m->detached_at);
	l->syscall = wf_load_relaxed(&m->gate.syscall_tick);
	l->still = 0;
	l->still_since = now;
	l->cpu = l->cpu_began = wf_os_thread_cpu(wf_load_relaxed(&m->tid));
	wf_store_relaxed(&l->n_shown, 0);
}

/* Has m run the same goroutine since the last look, without a scheduling point? */
static bool
is_same_run(const struct m *m, const struct p *p)
{
	const struct m_lint *l = &m->lint;

	if (l->syscall != wf_load_relaxed(&m->gate.syscall_tick))
		return false;
	if (p != NULL)
		return l->p == p && l->tick == wf_load_relaxed(&p->schedtick) &&
		    l->picks == wf_load_relaxed(&p->picks);
	/* wf_detach() takes a P only if all of this stood still since the monitor's last round. */
	return l->p != NULL || l->detached_at == wf_load_relaxed(&m->detached_at);
}

/* p NULL: m has lost its P, and runs on without. */
static void
look_at(struct m *m, const struct p *p, int64_t now)
{
	struct m_lint *l = &m->lint;
	int tid = wf_load_relaxed(&m->tid), state;
	int64_t cpu;

	if (!is_same_run(m, p) || (cpu = wf_os_thread_cpu(tid)) < 0) {
		renew(m, p, now);
		return;
	}
	l->p = p;
	l->detached_at = wf_load_relaxed(&m->detached_at);
	if (cpu != l->cpu) {
		l->still = 0;
		l->still_since = now;
	} else {
		l->still++;
	}
	l->cpu = cpu;
	if (wf_load_relaxed(&l->n_shown) >= LINT_ENOUGH || wf_load_relaxed(&m->gate.in_runtime) ||
	    wf_load_relaxed(&m->gate.in_syscall))
		return;
	/* Time of the processor, not of the clock: others may have kept it from the thread. */
	if (l->still == 0 && cpu - l->cpu_began >= LONG_NS) {
		WF_POINT("lint.computes");
		/* It may have come to a call meanwhile, which the signal would end by EINTR. */
		if (wf_os_thread_state(tid) == 'R')
			ask(m);
	} else if (l->still >= STILL_LOOKS && now - l->still_since >= LONG_NS) {
		state = wf_os_thread_state(tid);
		if (state == 'S' || state == 'D')
			report_blocked(m);
	}
}

void
wf_lint_round(int64_t now)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);
		struct m *m = wf_load_acquire(&p->m);

		if (m != NULL)
			look_at(m, p, now);
	}
	if (wf_load_relaxed(&wf_sched.n_detached) != 0)
		for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
			if (wf_load_relaxed(&m->is_detached))
				look_at(m, NULL, now);
	WF_POINT("lint.looked");
}
