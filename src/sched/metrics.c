/*
 * Samples of how long goroutines wait to run, and for locks, and of what processors do. See
 * metrics.h.
 */
#include "sched/metrics.h"

#include "os/os.h"
#include "sched/sched.h"

/* g is about to be queued on p, which we own, and so do we g. */
void
wf_metrics_sample(struct p *p, struct g *g)
{
	p->metrics.sampled_at = wf_load_relaxed(&wf_sched.now_coarse);
	wf_store_relaxed(&g->since, wf_os_now());
	wf_store_relaxed(&g->flags, (uint8_t)(wf_load_relaxed(&g->flags) | GF_SAMPLED));
}

/* g, which was sampled, is about to run on p. */
void
wf_metrics_ran(struct p *p, struct g *g)
{
	struct p_metrics *s = &p->metrics;
	int64_t ns = wf_os_now() - wf_load_relaxed(&g->since);

	wf_store_relaxed(&g->flags, (uint8_t)(wf_load_relaxed(&g->flags) & ~GF_SAMPLED));
	metrics_count(&s->latency[metrics_bucket(ns)]);
	wf_store_relaxed(&s->latency_sum, wf_load_relaxed(&s->latency_sum) + ns);
}

#define LOCK_WAITS 8u	/* one in so many is measured, as in Go */

int64_t
wf_metrics_lock_wait(void)
{
	return wf_self()->lock_waits++ % LOCK_WAITS == 0 ? wf_os_now() : 0;
}

void
wf_metrics_lock_waited(int64_t began)
{
	uint64_t ns = (uint64_t)(wf_os_now() - began);

	(void)wf_add_relaxed(&wf_sched.lock_wait_ns, LOCK_WAITS * ns);
}

/* Exact times would cost two looks at the clock for each time that a processor becomes idle. */
static struct {
	struct wf_lock lock;
	int64_t at;		/* under lock, as all: of the last look; 0: there was none */
	uint32_t procs, idle;	/* what it saw */
	uint64_t all_ns, idle_ns;
} cpu;

void
wf_metrics_cpu(int64_t now, uint64_t *ret_all_ns, uint64_t *ret_idle_ns)
{
	uint32_t procs = wf_load_relaxed(&wf_sched.gomaxprocs);
	uint64_t ns;

	wf_lock(&cpu.lock);
	if (cpu.at == 0) {
		cpu.at = wf_sched.start;
		cpu.procs = procs;
	}
	ns = (uint64_t)wf_max(now - cpu.at, (int64_t)0);
	cpu.all_ns += ns * cpu.procs;
	cpu.idle_ns += ns * wf_min(cpu.idle, cpu.procs);
	cpu.at += (int64_t)ns;
	cpu.procs = procs;
	cpu.idle = wf_load_relaxed(&wf_sched.n_idle_p);
	*ret_all_ns = cpu.all_ns;
	*ret_idle_ns = cpu.idle_ns;
	wf_unlock(&cpu.lock);
}
