/*
 * The memory of goroutines: G records in chunks, with a cache of dead ones per P.
 *
 * The address space of a chunk is never given back, so a stale pointer to a G may always be
 * read. The pages of a chunk whose goroutines are all dead are: they read as zero, which is a
 * dead goroutine with no id.
 *
 * Lock order: slab.lock is innermost.
 */
#include "sched/gslab.h"

#include "os/os.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_EMPTY 4u		/* chunks without a goroutine that keep their pages */

_Atomic(struct wf_chunk *) wf_chunks;

static struct {
	struct wf_lock lock;
	struct wf_chunk *avail;		/* under lock: has free or fresh goroutines */
	struct wf_chunk **by_base;	/* under lock: sorted by address, to find a G's chunk */
	uint32_t n_chunks, cap_chunks;
	uint32_t n_empty;		/* chunks that are wholly free and were used */
} slab;

static struct wf_chunk *
chunk_of(const struct g *g)
{
	uint32_t lo = 0, hi = slab.n_chunks;

	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if ((uintptr_t)slab.by_base[mid]->gs <= (uintptr_t)g)
			lo = mid;
		else
			hi = mid;
	}
	return slab.by_base[lo];
}

static void
list_put(struct wf_chunk *c)
{
	c->prev = NULL;
	c->next = slab.avail;
	if (slab.avail != NULL)
		slab.avail->prev = c;
	slab.avail = c;
	c->is_listed = true;
}

static void
list_remove(struct wf_chunk *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		slab.avail = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->is_listed = false;
}

static bool
grow_locked(void)
    WF_HOLDS(slab.lock)
{
	struct wf_chunk *c;
	uint32_t i;

	if (slab.n_chunks == slab.cap_chunks) {
		uint32_t cap = slab.cap_chunks == 0 ? 16 : slab.cap_chunks * 2;
		struct wf_chunk **p = realloc(slab.by_base, cap * sizeof(*p));

		if (p == NULL)
			return false;
		slab.by_base = p;
		slab.cap_chunks = cap;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return false;
	c->gs = wf_os_map(WF_CHUNK_BYTES);
	if (c->gs == NULL) {
		free(c);
		return false;
	}
	for (i = slab.n_chunks; i > 0 && slab.by_base[i - 1]->gs > c->gs; i--)
		slab.by_base[i] = slab.by_base[i - 1];
	slab.by_base[i] = c;
	slab.n_chunks++;
	list_put(c);
	c->all_next = wf_load_relaxed(&wf_chunks);
	/* S-ALL: release -> acquire in wf_g_each: the chunk is complete when it is seen. */
	wf_store_release(&wf_chunks, c);
	return true;
}

/* Wholly free, with pages to give back: one that was never used, or not since, has none. */
static bool
chunk_is_empty(const struct wf_chunk *c)
{
	return c->n_fresh != 0 && c->n_free == c->n_fresh;
}

static struct g *
take_locked(void)
    WF_HOLDS(slab.lock)
{
	struct wf_chunk *c = slab.avail;
	struct g *g;

	if (c == NULL) {
		if (!grow_locked())
			return NULL;
		c = slab.avail;
	}
	if (chunk_is_empty(c))
		slab.n_empty--;
	if ((g = c->free) != NULL) {
		c->free = g->link;
		c->n_free--;
	} else {
		g = &c->gs[c->n_fresh++];
	}
	if (c->free == NULL && c->n_fresh == WF_CHUNK_GS)
		list_remove(c);
	return g;
}

static void
give_locked(struct g *g)
    WF_HOLDS(slab.lock)
{
	struct wf_chunk *c = chunk_of(g);

	g->link = c->free;
	c->free = g;
	c->n_free++;
	if (!c->is_listed)
		list_put(c);
	if (chunk_is_empty(c))
		slab.n_empty++;
}

struct g *
wf_g_alloc(void)
{
	struct m *m = wf_self();
	struct p *p = m == NULL ? NULL : m->p;
	struct g *g;

	if (p != NULL && p->free_g != NULL) {
		g = p->free_g;
		p->free_g = g->link;
		p->n_free_g--;
		g->link = NULL;
		return g;
	}
	wf_lock(&slab.lock);
	wf_race_hide();
	g = take_locked();
	if (g != NULL && p != NULL) {
		/* Fill half of the cache, while the lock is ours. */
		while (p->n_free_g < G_CACHE / 2) {
			struct g *more = slab.avail != NULL ? take_locked() : NULL;

			if (more == NULL)
				break;
			more->link = p->free_g;
			p->free_g = more;
			p->n_free_g++;
		}
	}
	wf_race_show();
	wf_unlock(&slab.lock);
	if (g != NULL)
		g->link = NULL;
	return g;
}

void
wf_g_free(struct g *g)
{
	struct m *m = wf_self();
	struct p *p = m == NULL ? NULL : m->p;

	if (p != NULL) {
		g->link = p->free_g;
		p->free_g = g;
		if (++p->n_free_g < G_CACHE)
			return;
	}
	wf_lock(&slab.lock);
	if (p == NULL)
		give_locked(g);
	else
		while (p->n_free_g > G_CACHE / 2) {
			g = p->free_g;
			p->free_g = g->link;
			p->n_free_g--;
			give_locked(g);
		}
	wf_unlock(&slab.lock);
}

/* A fresh id. Ids are handed to Ps in batches: they grow, but not strictly by time. */
uint64_t
wf_goid_new(struct m *m)
{
	struct p *p = m->p;

	if (p == NULL)
		return wf_add_relaxed(&wf_sched.goid_gen, 1);
	if (p->goid_next == p->goid_end) {
		p->goid_next = wf_add_relaxed(&wf_sched.goid_gen, GOID_BATCH);
		p->goid_end = p->goid_next + GOID_BATCH;
	}
	return p->goid_next++;
}

void
wf_g_each(void (*each)(struct g *g, void *arg), void *arg)
{
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		if (wf_load_relaxed(&m->bound_g.status) != G_DEAD)	/* foreign ones only */
			each(&m->bound_g, arg);
	/* S-ALL */
	for (struct wf_chunk *c = wf_load_acquire(&wf_chunks); c != NULL; c = c->all_next)
		for (size_t i = 0; i < WF_CHUNK_GS; i++)
			if (wf_load_relaxed(&c->gs[i].status) != G_DEAD)
				each(&c->gs[i], arg);
}

/* Gives pages of empty chunks back, one chunk a call. Returns whether there may be more. */
bool
wf_g_scavenge(void)
{
	bool more = false;

	wf_lock(&slab.lock);
	if (slab.n_empty > KEEP_EMPTY) {
		for (struct wf_chunk *c = slab.avail; c != NULL; c = c->next) {
			if (!chunk_is_empty(c))
				continue;
			(void)wf_os_dontneed(c->gs, WF_CHUNK_BYTES);
			c->free = NULL;
			c->n_free = c->n_fresh = 0;
			slab.n_empty--;
			more = true;
			break;
		}
	}
	wf_unlock(&slab.lock);
	return more;
}

/* Would wf_g_scavenge() find something? */
bool
wf_g_has_surplus(void)
{
	bool has;

	wf_lock(&slab.lock);
	has = slab.n_empty > KEEP_EMPTY;
	wf_unlock(&slab.lock);
	return has;
}
