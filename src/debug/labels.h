/*
 * Labels of goroutines that others own, and as text.
 */
#ifndef WEFT_DEBUG_LABELS_H
#define WEFT_DEBUG_LABELS_H

#include "debug/out.h"
#include "sched/tags.h"

struct label_text {
	unsigned n;
	size_t bytes;
	char text[WF_LABELS_BYTES];	/* as wf_tags has it */
};

/*
 * Those of g, of which copy is a copy; g may change or end meanwhile: then there are none. Returns
 * whether there are any.
 */
bool wf_labels_copy(const struct g *g, const struct g *copy, struct label_text *ret);

/* {key: value, "a key": "a value"}, as Go; one line whatever they hold. */
void wf_labels_print(struct wf_out *o, const struct label_text *l);

#endif /* WEFT_DEBUG_LABELS_H */
