/*
 * The CPU profile: a signal for so much time of a processor that the process has used, delivered to
 * a thread that uses it, whose handler looks at its stack.
 *
 *   C1  cpu.lock: release -> acquire. Taken by handlers, for the time of one walk; nobody is
 *       interrupted by the same signal while it holds it. A handler that can't have it within
 *       SPINS drops its sample. The calls take it when no signal comes any more.
 */
#include <weft/profile.h>
#include "debug/dump.h"
#include "debug/profile_table.h"
#include "os/os.h"
#include "sched/lock.h"
#include "sched/sched.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HZ 100			/* as Go */
#define HZ_MAX 1000
#define STACKS_FIRST 4096u	/* different ones: there is room for so many, then more is made */
#define STACKS_MAX 65536u	/* more are lost: 30 MB, and the labels that they hold */
#define SPINS 20000

static struct {
	struct wf_lock calls;		/* start and stop */
	bool is_on, has_handler;	/* under calls */
	int64_t began, period;		/* under calls */
	_Atomic uint32_t lock;		/* C1 */
	bool takes;			/* C1 */
	int64_t charged;		/* C1: until then, time has been put into the table */
	struct profile_table table;	/* C1 */
	struct wf_unwind unwind;	/* C1 */
} cpu;

static bool
try_lock(void)
{
	for (int i = 0; i < SPINS; i++) {
		if (wf_load_relaxed(&cpu.lock) == 0 && wf_xchg_acquire(&cpu.lock, 1u) == 0)
			return true;					/* C1 */
		wf_cpu_relax();
	}
	return false;
}

static void
unlock(void)
{
	wf_store_release(&cpu.lock, 0u);				/* C1 */
}

/*
 * The kernel looks at timers when it ticks: a signal stands for all the time of processors since
 * the one before, however many periods that were.
 */
static void
charge(const uintptr_t *pcs, uint32_t n, const char *name, struct wf_tags *labels)
{
	int64_t now = wf_os_prof_time();

	wf_profile_table_add(&cpu.table, pcs, n, name, labels, 1,
	    wf_max(now - cpu.charged, (int64_t)0));
	cpu.charged = now;
}

/* The stack that the signal came upon, into the table. */
static void
sample(const void *uctx)
{
	uintptr_t regs[WF_NREGS], pcs[PROFILE_FRAMES], lo, hi, sp;
	char name[PROFILE_NAME] = "";
	struct wf_tags *labels = NULL;
	const struct g *g;
	uint32_t n = 0;
	bool is_known;

	(void)wf_os_sigregs(uctx, regs, WF_NREGS);
	sp = regs[WF_REG_SP];
	g = wf_dump_current(sp);
	is_known = wf_dump_bounds(g, sp, &lo, &hi);
	wf_unwind_signal(&cpu.unwind, uctx, lo, hi, is_known);
	do {
		pcs[n++] = wf_unwind_lookup_pc(&cpu.unwind) + 1;
	} while (n < PROFILE_FRAMES && wf_unwind_next(&cpu.unwind));
	if (g != NULL) {
		wf_dump_name(g, name, sizeof(name));
		labels = wf_tags_labels(wf_load_acquire(&g->tags));
	}
	charge(pcs, n, name, labels);					/* Y3 */
}

static void
on_signal(int sig, siginfo_t *info, void *uctx)
{
	int saved = wf_os_errno_save();

	(void)sig;
	(void)info;
	if (try_lock()) {
		if (cpu.takes)
			sample(uctx);
		unlock();
	}
	wf_os_errno_restore(saved);
}

/* A program that profiles itself by SIGPROF is left alone. */
static int
install(void)
{
	struct sigaction old;
	int r;

	r = wf_os_sigaction_get(SIGPROF, &old);
	if (r == 0 && cpu.has_handler && old.sa_sigaction == on_signal)
		return 0;
	/* Also if it was ours: somebody may have changed it since. */
	if (r == 0 && old.sa_handler != SIG_DFL)
		r = -EBUSY;
	if (r == 0)
		r = wf_os_sigaction_deferred(SIGPROF, on_signal);
	/* For good: a signal that comes late would end the process. */
	cpu.has_handler = r == 0;
	return r;
}

/* With calls held, and no handler between its lock and its unlock. */
static void
take_samples(bool takes)
{
	while (!try_lock())
		continue;
	cpu.takes = takes;
	cpu.charged = wf_os_prof_time();
	unlock();
}

static int
start_locked(int hz)
    WF_HOLDS(cpu.calls)
{
	int r;

	if (cpu.is_on)
		return -EBUSY;
	r = install();
	if (r == 0 && !wf_profile_table_reserve(&cpu.table, STACKS_FIRST))
		r = -ENOMEM;
	cpu.table.max = STACKS_MAX;
	if (r < 0)
		return r;
	hz = hz <= 0 ? HZ : wf_min(hz, HZ_MAX);
	cpu.period = 1000000000 / hz;
	cpu.began = wf_os_now();
	wf_cfi_init(&cpu.unwind.cfi);
	take_samples(true);
	r = wf_os_prof_timer(cpu.period);
	if (r < 0) {
		take_samples(false);
		wf_profile_table_free(&cpu.table);
		return r;
	}
	cpu.is_on = true;
	return 0;
}

int
weft_profile_cpu_start(int hz)
{
	int r;

	(void)wf_enter();
	wf_lock(&cpu.calls);
	r = start_locked(hz);
	wf_unlock(&cpu.calls);
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_profile_cpu_stop(int fd)
{
	struct profile_kind kind = {
		.type = { "samples", "cpu" }, .unit = { "count", "nanoseconds" },
		.period_type = "cpu", .period_unit = "nanoseconds",
	};
	struct profile_table table;
	char lost[96];
	int r;

	(void)wf_enter();
	wf_lock(&cpu.calls);
	if (!cpu.is_on) {
		wf_unlock(&cpu.calls);
		wf_leave();
		return -ESRCH;
	}
	(void)wf_os_prof_timer(0);
	take_samples(false);
	table = cpu.table;
	memset(&cpu.table, 0, sizeof(cpu.table));
	kind.period = cpu.period;
	kind.duration_ns = wf_os_now() - cpu.began;
	cpu.is_on = false;
	wf_unlock(&cpu.calls);
	wf_leave();
	if (table.lost != 0) {
		(void)snprintf(lost, sizeof(lost), "incomplete: %lld samples are left out: there "
		    "is room for %u different stacks and labels", (long long)table.lost,
		    STACKS_MAX);
		kind.comment = lost;
	}
	r = wf_profile_table_write(&table, &kind, fd);
	wf_profile_table_free(&table);
	return r;
}
