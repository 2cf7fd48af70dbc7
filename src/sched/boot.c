/*
 * The start of the runtime, by the first weft call of the process (Go: schedinit).
 */
#include "sched/sched.h"

#include "os/os.h"
#include "sched/fiber.h"
#include "sched/panic.h"
#include "sched/self_set.h"

#include <errno.h>

#if defined(WF_TSAN) || defined(WF_ASAN)
#define G0_STACK ((size_t)1 << 20)
#else
#define G0_STACK ((size_t)256 << 10)
#endif

struct sched wf_sched;

#ifdef WEFT_DEBUG_BUILD
void (*wf_point_hook)(const char *name);
#endif

const struct wf_settings *
wf_settings(void)
{
	return &wf_sched.settings;
}

/*
 * May WEFT_STACK_SMALL be taken at its word? Sanitizers need more, and so do a late binding and
 * lints, which are written on the stack that they are about.
 */
static bool
stacks_may_be_small(void)
{
#if defined(WF_ASAN) || defined(WF_TSAN)
	return false;
#else
	return !wf_sched.debug.lint && !wf_race_told() && wf_os_binds_early();
#endif
}

/* In the child of a fork only the forking thread exists. Any weft call says so and aborts. */
static void
forked(void)
{
	struct m *m = wf_self();

	wf_store_relaxed(&wf_sched.is_forked, 1);
	if (m != NULL)
		wf_store_relaxed(&m->gate.hold, HOLD_FORKED);
}

/* The thread's own stack, for the scheduler: goroutine 1 keeps the one the process began on. */
static void
make_g0(struct m *m)
{
	char *base = wf_os_map(G0_STACK + WF_GUARD_BYTES);

	if (base == NULL)
		wf_throw("out of memory at start", __FILE__, __LINE__);
	(void)wf_os_protect_none(base, WF_GUARD_BYTES);
	m->g0_lo = (uintptr_t)base + WF_GUARD_BYTES;
	m->g0_hi = (uintptr_t)base + WF_GUARD_BYTES + G0_STACK;
	(void)wf_os_stack_announce(m->g0_lo, m->g0_hi);
	wf_ctx_init(&m->g0ctx, wf_g0_main, m->g0_hi);
}

/* The process's first thread: its stack becomes goroutine 1, which may then run on any thread. */
static void
adopt_main(void)
{
	struct m *m;
	struct g *g;
	struct p *p;
	uintptr_t lo = 0, hi = 0;

	(void)wf_os_thread_stack(&lo, &hi);
	wf_lock(&wf_sched.lock);
	m = wf_m_new_locked();
	wf_sched.n_m++;
	p = wf_p_get_idle_locked(wf_load_relaxed(&wf_sched.all_p[0]));
	wf_unlock(&wf_sched.lock);
	if (m == NULL)
		wf_throw("out of memory at start", __FILE__, __LINE__);
	m->is_main_thread = true;
	make_g0(m);
	wf_m_init_self(m);
	wf_p_acquire(m, p);

	g = wf_g_alloc();
	if (g == NULL)
		wf_throw("out of memory at start", __FILE__, __LINE__);
	wf_store_relaxed(&g->id, wf_add_relaxed(&wf_sched.goid_gen, 1));
	wf_store_relaxed(&g->flags, GF_MAIN);
	wf_store_relaxed(&g->since, wf_sched.start);
	wf_store_relaxed(&g->stack_lo, lo);
	wf_store_relaxed(&g->stack_hi, hi);
	g->m = m;
	g->ctx.pc = 1;
	wf_store_relaxed(&g->status, G_RUNNING);
	m->gate.g = g;
	wf_sched.main_g = g;
	wf_store_relaxed(&p->n_created, 1);
#ifdef WF_TSAN
	g->sanitizer = __tsan_get_current_fiber();
	m->sanitizer = __tsan_create_fiber(0);
#endif
	if (wf_race_told())
		wf_fiber_boot_told(m);
}

static void
start_monitor(void)
{
	struct m *m;
	int tries = 0, r = -ENOMEM;

	wf_lock(&wf_sched.lock);
	m = wf_m_new_locked();
	wf_sched.has_monitor = true;
	wf_unlock(&wf_sched.lock);
	if (m != NULL) {
		do
			r = wf_os_thread_start(wf_monitor_main, m, G0_STACK,
			    /* block_signals */ true);
		while ((r == -EAGAIN || r == -ENOMEM) && wf_be_patient(&tries));
	}
	if (r != 0)
		wf_throw("can't start the monitor thread", __FILE__, __LINE__);
}

static void
boot(void)
{
	uint32_t n = wf_procs_from_env();
	struct m *m;

	wf_os_at_fork_child(forked);
	wf_os_thread_mask_init();
	wf_sched.start = wf_os_now();
	wf_store_relaxed(&wf_sched.now_coarse, wf_sched.start);
	wf_store_relaxed(&wf_sched.last_poll, wf_sched.start);
	wf_store_relaxed(&wf_sched.poll_until, INT64_MAX);
	wf_store_relaxed(&wf_sched.goid_gen, 1);
	wf_sched.max_threads = THREADS_MAX;
	wf_debug_parse(wf_os_getenv("WEFT_DEBUG"), &wf_sched.debug);
	wf_settings_from_env(&wf_sched.settings, wf_sched.debug.poller);
	wf_sched.has_membarrier = !wf_sched.debug.nomembarrier && wf_os_membarrier_init() == 0;
	wf_stack_init(wf_sched.debug.guard, wf_stack_from_env(), stacks_may_be_small());

	wf_sched.follows_limit = n == 0;
	wf_procs_init(n != 0 ? n : wf_min((uint32_t)wf_numcpu(), PROCS_MAX));
	if (wf_os_is_main_thread())
		adopt_main();
	wf_crash_init(&wf_sched.debug);
#ifdef WF_ASAN
	wf_leaks_init();
#endif
	if (wf_sched.debug.lint) {
		wf_lint_init(&wf_sched.debug);
		if (n != 0)
			wf_lint_procs(n);
	}
	start_monitor();
	/* It waits until all threads are at rest, this one too: nothing is half done here. */
	m = wf_self();
	if (m != NULL)
		wf_rest_begin(m);
	wf_trace_init();
	if (m != NULL)
		wf_rest_end(m);
}

void
wf_boot(void)
{
	static struct wf_lock lock;
	static bool done;

	/* Every new thread comes by here once: the lock is all the ordering it needs. */
	wf_lock(&lock);
	if (!done) {
		boot();
		wf_serve_from_env();
	}
	done = true;
	wf_unlock(&lock);
}
