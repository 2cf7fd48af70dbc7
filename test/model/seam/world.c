/*
 * The neighbours of the files under test: what they would do elsewhere is done here as simply as
 * the contract in their headers allows.
 */
#include "seam/world.h"

#include "explore.h"
#include "os/os.h"
#include "sched/panic.h"
#include "sched/scope_hook.h"
#include "sched/self_set.h"
#include "sched/tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STACKS 6
#define STACK_BYTES 32768

struct sched wf_sched;
struct world world;
void (*wf_point_hook)(const char *name);

static _Alignas(64) char heaps[WORLD_PS][16 * 16];	/* timer_entry is 16 bytes */
static _Alignas(64) char memory[STACKS][STACK_BYTES];
static struct wf_stack stacks[STACKS];

void
world_reset(uint32_t n_ps)
{
	memset(&wf_sched, 0, sizeof(wf_sched));
	memset(&world, 0, sizeof(world));
	wf_sched.max_threads = 100;
	wf_sched.has_membarrier = true;
	wf_store_relaxed(&wf_sched.last_poll, 1);
	wf_store_relaxed(&wf_sched.poll_until, INT64_MAX);
	wf_store_relaxed(&wf_sched.goid_gen, 1);
	wf_store_relaxed(&wf_sched.n_p, n_ps);
	wf_store_relaxed(&wf_sched.gomaxprocs, n_ps);
	for (uint32_t i = n_ps; i-- > 0;) {
		struct p *p = &world.ps[i];

		p->id = i;
		wf_timers_init(&p->timers);
		p->timers.heap = (struct timer_entry *)(void *)heaps[i];
		p->timers.cap = 16;
		wf_store_relaxed(&wf_sched.all_p[i], p);
		wf_p_put_idle_locked(p);
	}
	for (unsigned i = WORLD_MS; i-- > 0;) {
		wf_rand_init(&world.ms[i].rand, i);
		world.ms[i].id = i;
		world.ms[i].idle_next = wf_sched.free_m;
		wf_sched.free_m = &world.ms[i];
	}
	mc_thread_local((void **)&wf_tls_m);
	wf_tls_m = NULL;
}

struct m *
world_m(struct p *p)
{
	struct m *m = wf_m_new_locked();

	wf_store_relaxed(&m->gate.in_runtime, 1);
	if (p == NULL) {
		m->is_foreign = true;
		wf_sched.n_foreign++;
		wf_store_relaxed(&m->bound_g.flags, GF_BOUND);
		m->bound_g.m = m;
		m->gate.g = &m->bound_g;
		return m;
	}
	MC_ASSERT(wf_p_get_idle_locked(p) == p);
	wf_sched.n_m++;
	wf_p_acquire(m, p);
	return m;
}

void
world_foreign(unsigned n)
{
	world_reset(1);
	for (unsigned i = 0; i < n; i++) {
		world.foreign[i] = world_m(NULL);
		wf_store_relaxed(&world.foreign[i]->gate.in_runtime, 0);
	}
}

void
world_become_foreign(void)
{
	world_become(world.foreign[mc_thread() - 1]);
}

void
world_become(struct m *m)
{
	wf_tls_m = m;
}

struct g *
world_g(unsigned i, void (*fn)(void *), void *arg)
{
	struct g *g = &world.gs[i];

	g->fn = fn;
	g->arg = arg;
	wf_store_relaxed(&g->id, i + 1);
	wf_store_relaxed(&g->status, G_RUNNABLE);
	return g;
}

/* For new_p_locked(): the Ps beyond those that there are. For wf_m_new_locked(): fresh Ms. */
void *
world_alloc(size_t align, size_t bytes)
{
	static struct m fresh[WORLD_MS];

	(void)align;
	if (bytes == sizeof(struct p))
		return &world.ps[wf_load_relaxed(&wf_sched.n_p)];
	MC_ASSERT(world.n_fresh_ms < WORLD_MS);
	return &fresh[world.n_fresh_ms++];
}

void
world_scribble(void)
{
	char words[1024];

	memset(words, 0x5a, sizeof(words));
	wf_compiler_barrier();
}

bool
world_has_work(void)
{
	return wf_has_work(INT64_MAX - 1);
}

/* ---- stack.c, gslab.c, starve.c, go.c ---- */

struct wf_stack *
wf_stack_get(size_t bytes)
{
	uint32_t i = wf_add_relaxed(&world.n_stacks, 1);
	struct wf_stack *s = &stacks[i];

	(void)bytes;
	MC_ASSERT(i < STACKS);
	s->lo = (uintptr_t)memory[i];
	s->hi = s->lo + STACK_BYTES;
	return s;
}

void
wf_stack_put(struct wf_stack *s)
{
	(void)s;
}

bool
wf_stack_is_default(const struct wf_stack *s)
{
	(void)s;
	return false;	/* none is kept: each goroutine has its own */
}

bool
wf_stack_canary_ok(const struct wf_stack *s)
{
	(void)s;
	return true;
}

void
wf_g_free(struct g *g)
{
	(void)g;
	(void)wf_add_relaxed(&world.n_dead, 1);
}

void
wf_starve(struct g *g)
{
	(void)g;
	MC_ASSERT(!"there are stacks");
}

void
wf_starved_no_more(struct g *g)
{
	(void)g;
}

void
wf_starved_feed(uint32_t max, bool is_monitor)
{
	(void)max;
	(void)is_monitor;
}

/* ---- monitor.c, deadlock.c, boot.c ---- */

void
wf_monitor_wake(void)
{
	wf_note_wake(&wf_sched.monitor_note);
}

void
world_monitor(void)
{
	for (;;) {
		while (wf_load_acquire(&wf_sched.monitor_note) == 0)
			(void)wf_os_futex_wait(&wf_sched.monitor_note, 0, INT64_MAX);
		(void)wf_xchg_seqcst(&wf_sched.monitor_note, 0u);
		wf_m_start_deferred();
	}
}

void
wf_check_dead_locked(void)
{
}

/* ---- panic.c, debug/ ---- */

void
wf_throw(const char *what, const char *file, int line)
{
	mc_fail(file, line, "thrown: %s", what);
}

void
wf_fatal(const char *fmt, ...)
{
	mc_fail(__FILE__, __LINE__, "fatal: %s", fmt);
}

void
wf_lint_procs(uint32_t n)
{
	(void)n;
}

void
wf_crash_abort(const char *text)
{
	mc_fail(__FILE__, __LINE__, "abort: %s", text);
}

void
wf_boot(void)
{
	mc_fail(__FILE__, __LINE__, "a thread that is nobody calls weft");
}

int
wf_numcpu(void)
{
	return 2;
}

uint64_t
wf_goid_new(struct m *m)
{
	return m->id + 100;
}

void
wf_panic(const char *fmt, ...)
{
	mc_fail(__FILE__, __LINE__, "panic: %s", fmt);
}

void
wf_panic_help(const char *text, const char *help, ...)
{
	(void)help;
	mc_fail(__FILE__, __LINE__, "panic: %s", text);
}

void
wf_fatal_help(const char *text, const char *help, ...)
{
	(void)help;
	mc_fail(__FILE__, __LINE__, "fatal: %s", text);
}

void
wf_run_defers(struct g *g)
{
	(void)g;
}

void
wf_tags_drop(struct g *g)
{
	(void)g;
}

/* ---- metrics ---- */

void
wf_metrics_ran(struct p *p, struct g *g)
{
	(void)p;
	(void)g;
}

void
wf_metrics_lock_waited(int64_t began)
{
	(void)began;
}

/* ---- scope/: there are none, unless the program has them ---- */

#pragma weak wf_scope_leave

void
wf_scope_leave(struct g *g)
{
	g->scope = NULL;
}

/* ---- poll/: an eventfd, and a list of what is ready; unless the program has the real one ---- */

#pragma weak wf_poll_nwaiters
#pragma weak wf_poll_done
#pragma weak wf_poll_wake
#pragma weak wf_poll_wait

int
wf_poll_nwaiters(void)
{
	return (int)wf_load_relaxed(&world.poll_waiters);
}

void
wf_poll_done(uint32_t n)
{
	(void)wf_sub_seqcst(&world.poll_waiters, n);
}

void
wf_poll_wake(void)
{
	(void)wf_xchg_seqcst(&world.poll_word, 1u);
	(void)wf_os_futex_wake(&world.poll_word, 1);
}

void
wf_poll_wait(int64_t timeout_ns, struct gqueue *q)
{
	int64_t until = timeout_ns < 0 ? INT64_MAX : mc_now() + timeout_ns;

	while (timeout_ns != 0 && wf_load_seqcst(&world.poll_word) == 0)
		if (wf_os_futex_wait(&world.poll_word, 0, until) == -ETIMEDOUT)
			break;
	if (timeout_ns != 0)
		(void)wf_xchg_seqcst(&world.poll_word, 0u);
	wf_lock(&world.poll_lock);
	gqueue_append(q, &world.poll_ready);
	wf_unlock(&world.poll_lock);
}

void
world_poll_ready(struct g *g)
{
	wf_lock(&world.poll_lock);
	gqueue_put(&world.poll_ready, g);
	wf_unlock(&world.poll_lock);
	wf_poll_wake();
}
