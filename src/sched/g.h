/*
 * The goroutine. Its states, and who owns it in each: README.md, "States of a G".
 */
#ifndef WEFT_SCHED_G_H
#define WEFT_SCHED_G_H

#include "arch/arch.h"
#include "base/atomic.h"

struct m;
struct weft_scope;
struct wf_defer;
struct wf_tags;
struct wf_try;

enum g_status {
	G_DEAD,			/* zero: the memory of a slab given back reads as dead */
	G_RUNNABLE,
	G_RUNNING,
	G_SYSCALL,
	G_WAITING,
};

/* Why a goroutine waits. Names: wf_wait_reason_name(), Go's words where Go has the case. */
enum wf_wait_reason {
	WAIT_NONE,
	WAIT_CHAN_RECV,
	WAIT_CHAN_SEND,
	WAIT_CHAN_RECV_NIL,
	WAIT_CHAN_SEND_NIL,
	WAIT_SELECT,
	WAIT_SELECT_NONE,
	WAIT_EVENT,
	WAIT_SLEEP,
	WAIT_IO,
	WAIT_MUTEX,
	WAIT_RWMUTEX_R,
	WAIT_RWMUTEX_W,
	WAIT_COND,
	WAIT_WAITGROUP,
	WAIT_SEM,
	WAIT_ONCE,
	WAIT_FLIGHT,
	WAIT_SCOPE,
	WAIT_SCOPE_GO,
	WAIT_LOOKUP,
	WAIT_GOEXIT,		/* main after weft_goexit */
	WAIT_REASON_MAX
};

const char *wf_wait_reason_name(enum wf_wait_reason r);
extern const char *const wf_wait_reason_names[WAIT_REASON_MAX];

/* Flags of a G. */
#define GF_BOUND	0x01	/* lives on the stack of a thread that weft did not start */
#define GF_MAIN		0x02	/* goroutine 1 */
#define GF_OWN_ARG	0x04	/* arg is a copy of ours, to be freed */
#define GF_CANCELLABLE	0x08	/* its present wait ends when its scope is cancelled */
#define GF_PANICKING	0x10	/* runs deferred calls because of a panic or weft_goexit */
#define GF_STARVED	0x20	/* has not run yet, as no stack could be had; in n_starved */
#define GF_SAMPLED	0x40	/* its wait to run is measured: since is when it began */
#define GF_WRAPPED	0x80	/* fn is weft's own: the user's is the first word at arg */

/*
 * Life: made by weft_go from a slab (gslab.c), back to it when its function ends. The
 * memory is never unmapped, so a stale pointer may be dereferenced; what it finds may be
 * another goroutine, or zeroes (dead).
 *
 *   o  the goroutine itself while RUNNING, else whoever holds it (state table)
 *   w  written by the holder, read by anyone for a report: relaxed, may be stale
 *   c  constant from weft_go until the goroutine ends
 *   s  under the lock of its scope
 *   x  rules at the field
 */
struct g {
	struct wf_ctx ctx;		/* o  where it was left; pc == 0 before the first run */
	struct g *link;			/* o  next on the queue or list that holds it */
	struct m *m;			/* o  thread that runs it, or that it is bound or locked
					 *    to */

	/*
	 * x  The ticket of its present wait, and the lock on waking it: odd while it waits.
	 * wf_claim() makes it even, once; see park.h and README.md, "Waking".
	 */
	_Atomic uint64_t wait;
	int32_t wait_result;		/* x  written by the claimer before it readies */
	_Atomic uint8_t status;		/* w  enum g_status */
	_Atomic uint8_t wait_reason;	/* w  enum wf_wait_reason */
	_Atomic uint8_t flags;		/* w  GF_ */
	_Atomic uint8_t committing;	/* x  1 from before it is left until its commit is over */

	_Atomic uint64_t id;		/* w  0 while dead */
	uint64_t parent_id;		/* c */
	void (*fn)(void *);		/* c */
	void *arg;			/* c */
	uintptr_t created_pc;		/* c  return address of weft_go */
	_Atomic int64_t since;		/* w  coarse time when the state was entered */

	_Atomic uintptr_t stack_lo;	/* w  lowest usable address; 0 = no stack yet */
	_Atomic uintptr_t stack_hi;	/* w */

	struct wf_defer *defers;	/* o  newest first */
	struct wf_try *tries;		/* o  innermost first */

	struct weft_scope *scope;	/* c  NULL = root */
	union {
		struct {		/* in a scope */
			struct g *scope_next;	/* s */
			struct g **scope_at;	/* s  what points at it on its list */
		};
		struct {		/* in none: whom its end is told, as wf_go_args has it */
			void (*ended)(void *);	/* c */
			void *ended_arg;	/* c */
		};
	};

	_Atomic(struct wf_tags *) tags;	/* o  name and labels, or NULL: tags.h */
	struct wf_stack *stack;		/* o  NULL before the first run, and for main and bound
					 *    ones */
	uint32_t stack_class;		/* c  bytes of its stack, 0 = default */
	_Atomic uint32_t locked;	/* o  depth of weft_lock_thread */
	_Atomic uint64_t trace;		/* x  what the trace knows of it: trace/README.md, G5 */
#if defined(WF_TSAN) || defined(WF_ASAN)
	void *sanitizer;		/* o  TSan's fiber, or ASan's fake stack */
#endif
};

#if !defined(WF_TSAN) && !defined(WF_ASAN)
_Static_assert(sizeof(struct g) <= 192, "1,000,000 of them: each byte is a megabyte");
#endif

/* The function that users know it by. For who holds g; others copy what they look at. */
static inline uintptr_t
wf_g_began_with(const struct g *g)
{
	if (wf_load_relaxed(&g->flags) & GF_WRAPPED)
		return *(const uintptr_t *)g->arg;
	return (uintptr_t)g->fn;
}

/* A list of goroutines linked through g->link, oldest first. */
struct gqueue {
	struct g *head;
	struct g *tail;
	uint32_t n;
};

static inline void
gqueue_put(struct gqueue *q, struct g *g)
{
	g->link = NULL;
	if (q->tail != NULL)
		q->tail->link = g;
	else
		q->head = g;
	q->tail = g;
	q->n++;
}

static inline struct g *
gqueue_take(struct gqueue *q)
{
	struct g *g = q->head;

	if (g != NULL) {
		q->head = g->link;
		if (q->head == NULL)
			q->tail = NULL;
		g->link = NULL;
		q->n--;
	}
	return g;
}

/* Moves all of from to the end of to. */
static inline void
gqueue_append(struct gqueue *to, struct gqueue *from)
{
	if (from->head == NULL)
		return;
	if (to->tail != NULL)
		to->tail->link = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->n += from->n;
	from->head = from->tail = NULL;
	from->n = 0;
}

#endif /* WEFT_SCHED_G_H */
