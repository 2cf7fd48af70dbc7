/*
 * The select as its three files share it: select.c tries, by the number of cases; select_locked.c
 * and, for the everyday two, select_two.c wait. README.md, "Select", S1-S7.
 */
#ifndef WEFT_CHAN_SELECT_H
#define WEFT_CHAN_SELECT_H

#include "chan/case.h"

/* One call's work. Lives on the goroutine's stack; constant from S5 on. */
struct select {
	weft_case *cases;	/* the user's */
	uint32_t n;		/* live cases; the arrays below have as many */
	uint32_t *poll;		/* indices of the live cases in the order in which to try them */
	uint32_t *order;	/* the same, channels by address */
	struct waiter *waiter;	/* waiter[k] waits for case order[k] */
};

/* From S3 on. Nothing was ready a moment ago. */
WF_PARKS int wf_select_with_locks(struct select *s, int64_t deadline);

/*
 * The same for two live cases that are operations on two channels, both kept by the caller's P.
 * CHAN_RARE: they are not, or one may go; nothing has happened.
 */
WF_PARKS int wf_select_two_kept(weft_case *cases, int64_t deadline);

#endif /* WEFT_CHAN_SELECT_H */
