/*
 * Samples of how long goroutines wait to run. See metrics.h.
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
