/*
 * Printing goroutines and stacks in the form of Go's tracebacks: README.md, "The text".
 *
 * Works from a signal handler, with locks held by anybody, while the goroutines run.
 */
#ifndef WEFT_DEBUG_DUMP_H
#define WEFT_DEBUG_DUMP_H

#include "debug/labels.h"
#include "debug/out.h"
#include "debug/symtab.h"
#include "debug/unwind.h"
#include "sched/g.h"

#define DUMP_INNER 50u		/* as Go: frames printed from the top ... */
#define DUMP_OUTER 50		/* ... and from the bottom of a deep stack */

/* Which frames at the top of a stack are left out: those of the runtime say nothing to users. */
enum dump_hide {
	HIDE_NOTHING,
	HIDE_TO_PC,		/* all before the one that goes on at from_pc */
	HIDE_RUNTIME,		/* all before the first weft_ function */
};

struct dump {			/* owned by one thread at a time; some 30 KB */
	struct wf_out out;
	struct wf_unwind u;
	struct wf_symtab syms;
	uintptr_t inner[DUMP_INNER];
	uintptr_t outer[DUMP_OUTER + 3];	/* a ring; three more, which may be dropped */
	size_t n;		/* frames met, shown ones only */
	const struct g *self;	/* printed by itself, not among the others */
	int64_t blocked_ns;	/* >= 0: only those that have been blocked for so long; -1: all */
	size_t n_others;	/* printed by wf_dump_others() */
	struct label_text labels;	/* of the one that is being printed */
};

void wf_dump_init(struct dump *d, int fd);
void wf_dump_fini(struct dump *d);

/*
 * Keeps the frames of the stack from where d->u stands, in two steps for who wants to see them
 * before they are printed. g, or a copy of it: its last frames are the runtime's. NULL: no
 * goroutine's.
 */
void wf_dump_collect(
    struct dump *d, enum dump_hide hide, uintptr_t from_pc, const struct g *g);
void wf_dump_frames(struct dump *d);
/* Both. */
void wf_dump_stack(struct dump *d, enum dump_hide hide, uintptr_t from_pc, const struct g *g);
/* One frame, as if pc were in it. */
void wf_dump_frame(struct dump *d, uintptr_t pc);

/* The function that users know g by, which may end meanwhile; of a copy, too. 0: main. */
uintptr_t wf_dump_began_with(const struct g *g);

/* "goroutine 7 [state, ..., "name"] {key: value}:". copy is one of g, or g the caller's own. */
void wf_dump_header(struct dump *d, const struct g *g, const struct g *copy, const char *state,
    int64_t now);
void wf_dump_created_by(struct dump *d, const struct g *g);

/*
 * The caller: header, stack from where d->u stands, and who started it. g NULL: code that runs on
 * no goroutine; only its stack.
 */
void wf_dump_caller(struct dump *d, const struct g *g, enum dump_hide hide, uintptr_t from_pc);

/* All others, or those that are blocked, each after an empty line. */
void wf_dump_others(struct dump *d);

/* Has g, a copy, waited for ns, or been stuck in the kernel without a P? blocked.c. */
bool wf_dump_is_blocked(const struct g *g, int64_t now, int64_t ns);

/*
 * A copy of g, and its stack as return addresses, innermost first: none of one that runs, or of the
 * caller. False: it has ended.
 */
bool wf_dump_snapshot(struct dump *d, struct g *g, struct g *ret_copy, uintptr_t *pcs,
    uint32_t max, uint32_t *ret_n);
/* The name of g, a copy, as text; "" = none. */
void wf_dump_name(const struct g *g, char *buf, size_t cap);
/* The goroutine whose stack sp is in, if it is the one that runs on this thread; else NULL. */
struct g *wf_dump_current(uintptr_t sp);
/* Bounds of the stack around sp. False: a guess. */
bool wf_dump_bounds(const struct g *g, uintptr_t sp, uintptr_t *ret_lo, uintptr_t *ret_hi);

#endif /* WEFT_DEBUG_DUMP_H */
