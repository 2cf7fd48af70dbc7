/*
 * What a goroutine is known by: a name, which is its own, and labels, which those that it starts
 * have, too. One pointer leads to both. README.md, "Labels".
 */
#ifndef WEFT_SCHED_TAGS_H
#define WEFT_SCHED_TAGS_H

#include "base/atomic.h"

#include <weft/label.h>

#include <stddef.h>

#define WF_NAME_BYTES 32u	/* with its NUL */
#define WF_LABELS_BYTES \
	((size_t)WEFT_LABELS_MAX * (WEFT_LABEL_KEY_BYTES + WEFT_LABEL_VALUE_BYTES + 2))

struct g;

/*
 * Either the name of one goroutine, which frees it at its end, and its labels beside it; or labels,
 * which goroutines and profiles share. Tools outside read the name at its beginning (g.name).
 *
 *   c  constant once it can be found
 *   o  written by the goroutine; read by who interrupts it (Y3), by dumps through the kernel
 */
struct wf_tags {
	char name[WF_NAME_BYTES];		/* c  "": labels */
	_Atomic(struct wf_tags *) labels;	/* o  beside a name; or NULL */
	_Atomic uint32_t refs;			/* x  of labels. Y4 */
	uint16_t n;				/* c  how many */
	uint16_t bytes;				/* c  of text */
	char text[];				/* c  key NUL value NUL ..., sorted by key */
};

_Static_assert(offsetof(struct wf_tags, name) == 0, "tools outside find the name there");

/* The labels of who has these tags; NULL = none. */
static inline struct wf_tags *
wf_tags_labels(struct wf_tags *t)
{
	return t == NULL || t->name[0] == '\0' ? t : wf_load_acquire(&t->labels);	/* Y1 */
}

/* A set of so many labels, for which text has been checked; one reference. NULL: no memory. */
struct wf_tags *wf_labels_new(unsigned n, const char *text, size_t bytes);
struct wf_tags *wf_labels_ref(struct wf_tags *labels);		/* NULL is allowed, in both */
void wf_labels_unref(struct wf_tags *labels);
/* Do they say the same? NULL is allowed. */
bool wf_labels_equal(const struct wf_tags *a, const struct wf_tags *b);

/* At the birth of g, which nobody has found yet: a name (false: no memory); what it inherits. */
bool wf_tags_name(struct g *g, const char *name);
void wf_tags_inherit(struct g *g, const struct g *parent);
/* At its end, and when a foreign thread's is over. */
void wf_tags_drop(struct g *g);

#endif /* WEFT_SCHED_TAGS_H */
