/*
 * Dead goroutines and fresh ids that a P has at hand: the everyday half of gslab.c, inline. Only
 * the holder of the P touches them, so there is no order to keep.
 */
#ifndef WEFT_SCHED_GCACHE_H
#define WEFT_SCHED_GCACHE_H

#include "sched/sched.h"

/* wf_g_alloc() for who knows its P, which may be NULL. */
static WF_ALWAYS_INLINE struct g *
g_alloc(struct p *p)
{
	struct g *g = p != NULL ? p->free_g : NULL;

	if (wf_unlikely(g == NULL))
		return wf_g_alloc();
	p->free_g = g->link;
	p->n_free_g--;
	g->link = NULL;
	return g;
}

/* Puts g where the next one is taken. False: there are enough. */
static WF_ALWAYS_INLINE bool
g_keep(struct p *p, struct g *g)
{
	if (wf_unlikely(p->n_free_g + 1 >= G_CACHE))
		return false;
	g->link = p->free_g;
	p->free_g = g;
	p->n_free_g++;
	return true;
}

/* wf_goid_new() for who knows its P, which may be NULL. */
static WF_ALWAYS_INLINE uint64_t
goid_new(struct m *m, struct p *p)
{
	if (wf_unlikely(p == NULL || p->goid_next == p->goid_end))
		return wf_goid_new(m);
	return p->goid_next++;
}

#endif /* WEFT_SCHED_GCACHE_H */
