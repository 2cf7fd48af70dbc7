/*
 * Lints: what is allowed, and likely to be a mistake. WEFT_DEBUG=lint=1; README.md, "Lints".
 */
#ifndef WEFT_DEBUG_LINT_H
#define WEFT_DEBUG_LINT_H

#include "debug/dump.h"

enum lint_kind {
	LINT_COMPUTES = 1,
	LINT_BLOCKS,
	LINT_HOLDS_LOCK,
	LINT_DEEP_STACK,
	LINT_PROCS,
};

/*
 * A report in steps, without malloc, locks and waiting, so from a signal handler too:
 *
 *   wf_lint_begin	the dump for it, or NULL: somebody else writes one just now, try again later
 *   (the frames are kept in it)
 *   wf_lint_is_new	is this the first of its kind at this place? Else only the end is to come
 *   wf_lint_head	"weft: lint: goroutine 7 ", to which the caller adds what is wrong
 *   wf_lint_body	the remedy, and the goroutine with the frames; copy is one of it, or g the
 *			caller's own; g NULL: only these
 *   wf_lint_end_report
 */
struct dump *wf_lint_begin(void);
bool wf_lint_is_new(const struct dump *d, enum lint_kind kind);
void wf_lint_head(struct dump *d, const struct g *g);
void wf_lint_body(struct dump *d, const struct g *g, const struct g *copy, const char *state,
    const char *remedy);
void wf_lint_end_report(struct dump *d);

/* lint_watch.c: takes the signal that has a goroutine show its own stack. */
void wf_lint_watch_init(void);

#endif /* WEFT_DEBUG_LINT_H */
