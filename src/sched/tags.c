/*
 * Names and labels of goroutines. See tags.h; why a profile's signal may read them at any
 * instruction: README.md, "Labels".
 */
#include "sched/tags.h"

#include "base/assert.h"
#include "sched/event.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- sets of labels ---- */

struct wf_tags *
wf_labels_new(unsigned n, const char *text, size_t bytes)
{
	struct wf_tags *new = malloc(sizeof(*new) + bytes);

	if (new == NULL)
		return NULL;
	memset(new, 0, sizeof(*new));
	wf_store_relaxed(&new->refs, 1u);
	new->n = (uint16_t)n;
	new->bytes = (uint16_t)bytes;
	memcpy(new->text, text, bytes);
	return new;
}

struct wf_tags *
wf_labels_ref(struct wf_tags *labels)
{
	uint32_t before;

	if (labels != NULL) {
		before = wf_add_relaxed(&labels->refs, 1u);		/* Y4: we have one */
		WF_CHECK(before != 0);
	}
	return labels;
}

void
wf_labels_unref(struct wf_tags *labels)
{
	uint32_t before;

	if (labels == NULL)
		return;
	before = wf_sub_acqrel(&labels->refs, 1u);			/* Y4 */
	WF_CHECK(before != 0);
	if (before == 1) {
		WF_POINT("labels.unused");
		free(labels);
	}
}

bool
wf_labels_equal(const struct wf_tags *a, const struct wf_tags *b)
{
	if (a == b)
		return true;
	return a != NULL && b != NULL && a->bytes == b->bytes &&
	    memcmp(a->text, b->text, a->bytes) == 0;
}

/* What key has in labels, or NULL. */
static const char *
find(const struct wf_tags *labels, const char *key)
{
	const char *at = labels == NULL ? NULL : labels->text;

	for (unsigned i = 0; labels != NULL && i < labels->n; i++) {
		const char *value = at + strlen(at) + 1;

		if (strcmp(at, key) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

static bool
is_text(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return n <= max;
}

/* One more, behind those that are there: there is room. */
static void
put(struct wf_tags *to, const char *key, const char *value)
{
	size_t n = strlen(key) + 1, m = strlen(value) + 1;

	memcpy(to->text + to->bytes, key, n);
	memcpy(to->text + to->bytes + n, value, m);
	to->bytes = (uint16_t)(to->bytes + n + m);
	to->n++;
}

/*
 * Those of old, with this one among them, or without it: one reference, or NULL for none at all.
 * Made in its place, not on the stack, which may be a small one.
 */
static int
change(const struct wf_tags *old, const char *key, const char *value, struct wf_tags **ret)
{
	size_t room = value == NULL ? 0 : strlen(key) + strlen(value) + 2;
	const char *at = old == NULL ? NULL : old->text;
	struct wf_tags *new = malloc(sizeof(*new) + (old == NULL ? 0 : old->bytes) + room);
	int r = 0;

	if (new == NULL)
		return -ENOMEM;
	memset(new, 0, sizeof(*new));
	wf_store_relaxed(&new->refs, 1u);
	for (unsigned i = 0; old != NULL && i < old->n; i++) {
		const char *old_value = at + strlen(at) + 1;
		int order = strcmp(at, key);

		if (order > 0 && value != NULL) {
			put(new, key, value);
			value = NULL;
		}
		if (order != 0)
			put(new, at, old_value);
		at = old_value + strlen(old_value) + 1;
	}
	if (value != NULL)
		put(new, key, value);
	if (new->n > WEFT_LABELS_MAX)
		r = -EINVAL;
	if (r < 0 || new->n == 0) {
		free(new);
		new = NULL;
	}
	if (r == 0)
		*ret = new;
	return r;
}

/* ---- whose they are ---- */

bool
wf_tags_name(struct g *g, const char *name)
{
	struct wf_tags *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return false;
	memcpy(t->name, name, strnlen(name, WF_NAME_BYTES - 1));
	wf_store_relaxed(&g->tags, t);
	return true;
}

static struct wf_tags *
labels_of(const struct g *g)
{
	return wf_tags_labels(wf_load_relaxed(&g->tags));
}

void
wf_tags_inherit(struct g *g, const struct g *parent)
{
	struct wf_tags *own = wf_load_relaxed(&g->tags), *labels = labels_of(parent);

	if (labels == NULL)
		return;
	(void)wf_labels_ref(labels);
	wf_store_release(own != NULL ? &own->labels : &g->tags, labels);	/* Y1 */
}

void
wf_tags_drop(struct g *g)
{
	struct wf_tags *t = wf_load_relaxed(&g->tags), *labels = wf_tags_labels(t);

	wf_store_release(&g->tags, NULL);				/* Y1 */
	wf_compiler_barrier();
	if (t != labels)
		free(t);						/* Y2 */
	WF_POINT("tags.dropped");
	wf_labels_unref(labels);					/* Y2 */
}

/* The calling goroutine's, whose reference labels was; it gets the one of those before. */
static struct wf_tags *
exchange(struct g *g, struct wf_tags *labels)
{
	struct wf_tags *t = wf_load_relaxed(&g->tags), *before = wf_tags_labels(t);

	wf_store_release(t != before ? &t->labels : &g->tags, labels);	/* Y1 */
	wf_compiler_barrier();
	WF_EVENT(label, wf_self());
	return before;
}

/* ---- the calls ---- */

/* On the calling goroutine. *ret_before: the labels that it had, and their reference. */
static int
label(struct g *g, const char *key, const char *value, struct wf_tags **ret_before)
{
	struct wf_tags *new;
	int r;

	if (key == NULL || key[0] == '\0' || !is_text(key, WEFT_LABEL_KEY_BYTES) ||
	    (value != NULL && !is_text(value, WEFT_LABEL_VALUE_BYTES)))
		return -EINVAL;
	r = change(labels_of(g), key, value, &new);
	if (r == 0)
		*ret_before = exchange(g, new);
	return r;
}

WF_API_PARKS int
weft_label_set(const char *key, const char *value)
{
	struct wf_tags *before;
	int r;

	(void)wf_enter();
	r = label(wf_g(), key, value, &before);
	if (r == 0)
		wf_labels_unref(before);				/* Y2 */
	wf_leave();
	return r;
}

WF_API_PARKS const char *
weft_label(const char *key)
{
	const char *value;

	(void)wf_enter();
	value = key == NULL ? NULL : find(labels_of(wf_g()), key);
	wf_leave();
	return value;
}

static void
put_back(void *before)
{
	(void)wf_enter();
	wf_labels_unref(exchange(wf_g(), before));			/* Y2 */
	wf_leave();
}

WF_API_PARKS int
weft_label_do(const char *key, const char *value, void (*fn)(void *), void *arg)
{
	struct wf_defer here, *at_end = &here;
	struct wf_tags *before;
	bool is_bound;
	int r;

	(void)wf_enter();
	if (fn == NULL)
		wf_panic("weft_label_do of nil func value");
	/* A foreign thread may end amid fn, and this frame before what was deferred runs. */
	is_bound = wf_load_relaxed(&wf_g()->flags) & GF_BOUND;
	if (is_bound)
		at_end = malloc(sizeof(*at_end));
	r = at_end == NULL ? -ENOMEM : label(wf_g(), key, value, &before);
	if (r == 0 && is_bound)
		wf_defer_push_own(at_end, put_back, before);
	else if (r == 0)
		wf_defer_push(at_end, put_back, before);
	wf_leave();
	if (r == 0) {
		fn(arg);
		(void)wf_enter();
		wf_defer_remove(at_end);
		wf_leave();
		put_back(before);
	}
	if (is_bound)
		free(at_end);
	return r;
}
