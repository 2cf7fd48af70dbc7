/*
 * Labels of goroutines that others own, and as text. See labels.h; README.md, "Reading goroutines
 * that run", D4.
 */
#include "debug/labels.h"

#include "debug/peek.h"
#include "sched/g.h"

#include <string.h>

/* ---- reading them ---- */

/* The head of labels: they are g's, or beside its name. */
static uintptr_t
copy_head(const struct g *g, struct wf_tags *ret)
{
	uintptr_t at = (uintptr_t)wf_load_relaxed(&g->tags);

	if (at == 0 || !wf_peek_copy(ret, at, sizeof(*ret), /* direct */ false))
		return 0;
	if (ret->name[0] == '\0')
		return at;
	at = (uintptr_t)wf_load_relaxed(&ret->labels);
	if (at == 0 || !wf_peek_copy(ret, at, sizeof(*ret), /* direct */ false))
		return 0;
	return at;
}

/* So many keys and values, each ended; of what may be anything by now. */
static bool
is_whole(const struct label_text *l)
{
	size_t at = 0;

	for (unsigned i = 0; i < 2 * l->n; i++) {
		const char *end = memchr(l->text + at, '\0', l->bytes - at);

		if (end == NULL)
			return false;
		for (const char *c = l->text + at; c < end; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return false;
		at = (size_t)(end - l->text) + 1;
	}
	return at == l->bytes;
}

bool
wf_labels_copy(const struct g *g, const struct g *copy, struct label_text *ret)
{
	struct wf_tags head, again_head;
	uintptr_t at = copy_head(copy, &head);
	struct g again;

	ret->n = 0;
	if (at == 0 || head.n == 0 || head.n > WEFT_LABELS_MAX ||
	    head.bytes > sizeof(ret->text) ||
	    !wf_peek_copy(ret->text, at + offsetof(struct wf_tags, text), head.bytes, false))
		return false;
	ret->bytes = head.bytes;
	ret->n = head.n;
	/* Still the same ones: then they were not freed before they were read. */
	if (!is_whole(ret) || !wf_peek_copy(&again, (uintptr_t)g, sizeof(again), true) ||
	    wf_load_relaxed(&again.id) != wf_load_relaxed(&copy->id) ||
	    copy_head(&again, &again_head) != at)
		ret->n = 0;
	return ret->n != 0;
}

/* ---- as text ---- */

/* What stands for itself without quotes, as in Go. */
static bool
is_plain(const char *s)
{
	for (const char *c = s; *c != '\0'; c++)
		if (!(*c >= '0' && *c <= '9') && !(*c >= 'a' && *c <= 'z') &&
		    !(*c >= 'A' && *c <= 'Z') && *c != '.' && *c != '/' && *c != '_')
			return false;
	return s[0] != '\0';
}

static void
print_word(struct wf_out *o, const char *s)
{
	if (is_plain(s))
		wf_out_str(o, s);
	else
		wf_out_quoted(o, s);
}

void
wf_labels_print(struct wf_out *o, const struct label_text *l)
{
	const char *at = l->text;

	wf_out_str(o, "{");
	for (unsigned i = 0; i < l->n; i++) {
		if (i != 0)
			wf_out_str(o, ", ");
		print_word(o, at);
		at += strlen(at) + 1;
		wf_out_str(o, ": ");
		print_word(o, at);
		at += strlen(at) + 1;
	}
	wf_out_str(o, "}");
}
