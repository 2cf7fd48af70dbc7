/*
 * The chunks that goroutines' memory comes from, as debuggers find them. Rules: gslab.c.
 */
#ifndef WEFT_SCHED_GSLAB_H
#define WEFT_SCHED_GSLAB_H

#include "sched/g.h"

#define WF_CHUNK_BYTES ((size_t)256 << 10)
#define WF_CHUNK_GS (WF_CHUNK_BYTES / sizeof(struct g))

/*
 * A chunk. Constant once it is on the list: gs, all_next. The rest under the slab's lock.
 */
struct wf_chunk {
	struct g *gs;
	struct wf_chunk *all_next;	/* every chunk, newest first */
	struct wf_chunk *next, *prev;	/* chunks that have free goroutines */
	struct g *free;			/* dead goroutines that are in no P's cache */
	uint32_t n_free;
	uint32_t n_fresh;		/* gs[n_fresh..] were never used since the last purge */
	bool is_listed;
};

/* Every chunk, newest first. Pushed under the slab's lock, read without. */
extern _Atomic(struct wf_chunk *) wf_chunks;

#endif /* WEFT_SCHED_GSLAB_H */
