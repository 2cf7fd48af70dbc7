/*
 * Signals that end the program: faults, abort(3), and SIGQUIT. README.md, "Crash".
 *
 * SIGSEGV and SIGBUS are always taken, because a stack overflow arrives as one of them; what is
 * not an overflow goes to the handler that was there before, as if we were not here. The others
 * are taken only where the program has none of its own. All run on the alternate stack.
 */
#include "debug/crash.h"

#include "os/os.h"
#include "sched/sched.h"

#include <signal.h>
#include <string.h>

static const struct fault {
	int sig;
	const char *text;	/* Go's words */
	bool is_fault;		/* of the code that runs, not sent by somebody */
	bool is_shared;		/* taken even if there is a handler */
} faults[] = {
	{SIGSEGV, "SIGSEGV: segmentation violation", true, true},
	{SIGBUS, "SIGBUS: bus error", true, true},
	{SIGFPE, "SIGFPE: floating-point exception", true, false},
	{SIGILL, "SIGILL: illegal instruction", true, false},
	{SIGABRT, "SIGABRT: abort", false, false},
	{SIGQUIT, "SIGQUIT: quit", false, false},
};

/* What was there before us; constant after boot. */
static struct sigaction before[wf_countof(faults)];

/* Calls the handler that was there before. False: there was none. */
static bool
chain(size_t i, siginfo_t *info, void *uctx)
{
	const struct sigaction *old = &before[i];

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(faults[i].sig, info, uctx);
		return true;
	}
	if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN)
		return false;
	old->sa_handler(faults[i].sig);
	return true;
}

/* Readies d for a walk from the interrupted code. Returns its goroutine, or NULL. */
static struct g *
start_walk(struct dump *d, const void *uctx)
{
	uintptr_t v[WF_NREGS], lo, hi, sp;
	struct g *g;
	bool is_known;

	(void)wf_os_sigregs(uctx, v, WF_NREGS);
	sp = v[WF_REG_SP];
	g = wf_dump_current(sp);
	is_known = wf_dump_bounds(g, sp, &lo, &hi);
	wf_unwind_signal(&d->u, uctx, lo, hi, is_known);
	return g;
}

/* A size as WEFT_STACK takes it. */
static void
print_size(struct wf_out *o, uint64_t bytes)
{
	if (bytes % (1u << 20) == 0) {
		wf_out_u64(o, bytes >> 20);
		wf_out_str(o, "M");
	} else {
		wf_out_u64(o, (bytes + 1023) >> 10);
		wf_out_str(o, "K");
	}
}

static void
print_remedy(struct dump *d, const struct g *g, uint64_t bytes)
{
	bool is_ours = g->stack != NULL;

	wf_out_str(&d->out, "\nThe stack of goroutine ");
	wf_out_u64(&d->out, wf_load_relaxed(&g->id));
	wf_out_str(&d->out, " has ");
	wf_out_u64(&d->out, bytes);
	wf_out_str(&d->out, " bytes. ");
	if (is_ours && bytes <= WEFT_STACK_SMALL) {
		wf_out_str(&d->out, "WEFT_STACK_SMALL is too small for it.\n");
	} else if (is_ours) {
		wf_out_str(&d->out, "To raise it: WEFT_STACK=");
		print_size(&d->out, bytes * 2);
		wf_out_str(&d->out, " in the environment,\nor weft_go_with() with stack_size = ");
		wf_out_u64(&d->out, bytes * 2);
		wf_out_str(&d->out, " for this goroutine alone.\n");
	} else if (wf_load_relaxed(&g->flags) & GF_MAIN) {
		wf_out_str(&d->out, "It is the main thread's: see ulimit -s.\n");
	} else {
		wf_out_str(&d->out, "It is its thread's: see pthread_attr_setstacksize(3).\n");
	}
}

static WF_NORETURN void
stack_overflow(int sig, const struct g *g, const void *uctx)
{
	struct dump *d = wf_crash_begin();
	uintptr_t lo = wf_load_relaxed(&g->stack_lo), hi = wf_load_relaxed(&g->stack_hi);
	const struct g *running = start_walk(d, uctx);

	wf_out_str(&d->out, "runtime: goroutine stack exceeds ");
	wf_out_u64(&d->out, hi - lo);
	wf_out_str(&d->out, "-byte limit\nruntime: sp=");
	wf_out_hex(&d->out, d->u.regs.v[WF_REG_SP]);
	wf_out_str(&d->out, " stack=[");
	wf_out_hex(&d->out, lo);
	wf_out_str(&d->out, ", ");
	wf_out_hex(&d->out, hi);
	wf_out_str(&d->out, "]\nfatal error: stack overflow\n");
	print_remedy(d, g, hi - lo);
	wf_out_str(&d->out, running != NULL ? "\n" : "\nruntime stack:\n");
	wf_dump_caller(d, running, HIDE_NOTHING, 0);
	wf_crash_end(d, sig);
}

/* A fault that nobody has a handler for. */
static WF_NORETURN void
bad_access(const struct fault *f, const siginfo_t *info, const void *uctx)
{
	struct dump *d = wf_crash_begin();
	const struct g *g = start_walk(d, uctx);

	wf_out_str(&d->out, "fatal error: unexpected signal\n[signal ");
	wf_out_str(&d->out, f->text);
	wf_out_str(&d->out, " code=");
	wf_out_hex(&d->out, (uint32_t)info->si_code);
	wf_out_str(&d->out, " addr=");
	wf_out_hex(&d->out, (uintptr_t)info->si_addr);
	wf_out_str(&d->out, " pc=");
	wf_out_hex(&d->out, d->u.regs.pc);
	wf_out_str(&d->out, g != NULL ? "]\n\n" : "]\n\nruntime stack:\n");
	wf_dump_caller(d, g, HIDE_NOTHING, 0);
	wf_crash_end(d, f->sig);
}

static void
print_registers(struct dump *d, const void *uctx)
{
	static const char *const names[WF_NREGS] = WF_REG_NAMES;
	uintptr_t v[WF_NREGS];

	(void)wf_os_sigregs(uctx, v, WF_NREGS);
	wf_out_str(&d->out, "\n");
	for (size_t i = 0; i < WF_NREGS; i++) {
		wf_out_str(&d->out, names[i]);
		wf_out_str(&d->out, "    ");
		wf_out_hex(&d->out, v[i]);
		wf_out_str(&d->out, "\n");
	}
}

/* SIGQUIT and SIGABRT: "SIGQUIT: quit", where, and the goroutine it came to. */
static void
print_sent(struct dump *d, const struct fault *f, const siginfo_t *info, const void *uctx)
{
	const struct m *m = wf_self();
	struct g *g = start_walk(d, uctx);

	wf_out_str(&d->out, f->text);
	wf_out_str(&d->out, "\nPC=");
	wf_out_hex(&d->out, d->u.regs.pc);
	wf_out_str(&d->out, " m=");
	wf_out_i64(&d->out, m != NULL ? (int64_t)m->id : -1);
	wf_out_str(&d->out, " sigcode=");
	wf_out_i64(&d->out, info->si_code);
	wf_out_str(&d->out, "\n\n");
	if (g == NULL)
		wf_out_str(&d->out, "goroutine 0 [idle]:\n");
	wf_dump_caller(d, g, HIDE_NOTHING, 0);
}

static void
on_signal(int sig, siginfo_t *info, void *uctx)
{
	struct g *g = NULL;
	struct dump *d;
	size_t i = 0;

	while (i < wf_countof(faults) - 1 && faults[i].sig != sig)
		i++;
	/* si_code > 0: from the kernel, so si_addr means something. */
	if (faults[i].is_shared && info->si_code > 0 &&
	    wf_stack_is_guard((uintptr_t)info->si_addr, &g))
		stack_overflow(sig, g, uctx);
	if (chain(i, info, uctx))
		return;
	if (faults[i].is_fault)
		bad_access(&faults[i], info, uctx);

	d = wf_crash_begin();
	print_sent(d, &faults[i], info, uctx);
	if (sig == SIGQUIT) {
		wf_dump_others(d);
		print_registers(d, uctx);
		wf_crash_end(d, sig);
	}
	/* abort(3) has promised to end the process by this signal. */
	wf_dump_fini(d);
	wf_os_raise_default(sig);
	wf_os_exit(2);
}

bool
wf_crash_owns(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == on_signal;
}

/*
 * Has the program no use of its own for sig? An ignored SIGQUIT is free, as in Go: shells ignore it
 * for what a script starts with &, and nobody meant to go without the dump.
 */
static bool
is_free(int sig, const struct sigaction *sa)
{
	if (sa->sa_flags & SA_SIGINFO)
		return false;
	return sa->sa_handler == SIG_DFL || (sig == SIGQUIT && sa->sa_handler == SIG_IGN);
}

void
wf_fault_init(void)
{
	wf_os_elf_prepare();
	for (size_t i = 0; i < wf_countof(faults); i++) {
		if (wf_os_sigaction_get(faults[i].sig, &before[i]) != 0)
			continue;
		if (!faults[i].is_shared && !is_free(faults[i].sig, &before[i]))
			continue;
		(void)wf_os_sigaction(faults[i].sig, on_signal, NULL);
	}
}
