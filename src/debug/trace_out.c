/*
 * Encoding a generation. See trace_out.h; the format is in trace/README.md.
 */
#include "debug/trace_out.h"

#include "debug/labels.h"
#include "os/os.h"
#include "sched/event.h"
#include "trace/word.h"

#include <string.h>

#define ITEM_MAX ((size_t)16 << 10)	/* a stack of 128 frames, or a string, encoded */

void
wf_trace_out_free(struct trace_out *o)
{
	if (o->data != NULL)
		wf_os_unmap(o->data, o->cap);
	memset(o, 0, sizeof(*o));
}

uint8_t *
wf_trace_out_room(struct trace_out *o, size_t n)
{
	size_t cap = o->cap != 0 ? o->cap : (size_t)64 << 10;
	uint8_t *data;

	if (o->failed)
		return NULL;
	if (o->n + n <= o->cap)
		return o->data + o->n;
	while (cap < o->n + n)
		cap *= 2;
	data = wf_os_map(cap);
	if (data == NULL) {
		o->failed = true;
		return NULL;
	}
	if (o->data != NULL) {
		memcpy(data, o->data, o->n);
		wf_os_unmap(o->data, o->cap);
	}
	o->data = data;
	o->cap = cap;
	return o->data + o->n;
}

void
wf_trace_out_batch(struct trace_out *o, uint64_t gen, uint64_t thread, int64_t time,
    const uint8_t *data, size_t n)
{
	uint8_t *start = wf_trace_out_room(o, n + 1 + (size_t)4 * TRACE_VARINT_MAX), *at = start;

	if (at == NULL)
		return;
	*at++ = EV_BATCH;
	at = trace_put_varint(at, gen);
	at = trace_put_varint(at, thread);
	at = trace_put_varint(at, (uint64_t)time);
	at = trace_put_varint(at, n);
	memcpy(at, data, n);
	o->n += (size_t)(at - start) + n;
}

void
wf_trace_batch_flush(struct trace_batch *b)
{
	if (b->n > (b->first != 0))
		wf_trace_out_batch(b->out, b->gen, b->thread, b->time, b->data, b->n);
	b->n = 0;
}

uint8_t *
wf_trace_batch_room(struct trace_batch *b, size_t n)
{
	if (b->n + n > sizeof(b->data))
		wf_trace_batch_flush(b);
	if (b->n == 0) {
		b->time = b->last = trace_now();
		if (b->first != 0)
			b->data[b->n++] = b->first;
	}
	return b->data + b->n;
}

/* ---- stacks and strings ---- */

static uint64_t
number_of(uint32_t id, uint32_t m_id)
{
	return (uint64_t)id << TRACE_M_BITS | (m_id & TRACE_M_MASK);
}

static uint64_t
number_of_name(struct trace_names *names, uint64_t gen, const char *s, size_t n)
{
	uint32_t id;

	if (n == 0)
		return 0;
	n = wf_min(n, (size_t)TRACE_STRING_MAX);
	id = wf_trace_intern(&names->strings, gen, s, (uint32_t)n);
	return id == 0 ? 0 : number_of(id, TRACE_M_MASK);
}

/* How many frames at the top are the runtime's own: users begin with a weft_ function. */
static uint32_t
hidden_frames(struct wf_symtab *syms, const uintptr_t *pcs, uint32_t n)
{
	struct wf_symbol s;

	for (uint32_t i = 0; i < n; i++) {
		wf_symtab_find(syms, pcs[i] - 1, &s);
		if (s.name != NULL && strncmp(s.name, "weft_", 5) == 0)
			return i;
	}
	return 0;
}

/* The frames at the bottom that begin a goroutine. */
static uint32_t
entry_frames(struct wf_symtab *syms, const uintptr_t *pcs, uint32_t n)
{
	struct wf_symbol s;

	if (n < 3)
		return 0;
	wf_symtab_find(syms, pcs[n - 1] - 1, &s);
	return s.name != NULL && strcmp(s.name, "wf_ctx_entry") == 0 ? 2 : 0;
}

uint32_t
wf_trace_stack_trim(struct wf_symtab *syms, const uintptr_t *pcs, uint32_t *n)
{
	uint32_t from = hidden_frames(syms, pcs, *n);

	*n -= entry_frames(syms, pcs, *n);
	return from < *n ? from : 0;
}

static void
put_stack(struct trace_names *names, uint64_t gen, uint64_t id, const uintptr_t *pcs, uint32_t n)
{
	uint32_t from = wf_trace_stack_trim(&names->syms, pcs, &n);
	uint8_t *start = wf_trace_batch_room(&names->batch, ITEM_MAX), *at = start;

	n = wf_min(n, from + TRACE_FRAMES_MAX);
	*at++ = EV_STACK;
	at = trace_put_varint(at, id);
	at = trace_put_varint(at, n - from);
	for (uint32_t i = from; i < n; i++) {
		struct wf_symbol s;

		wf_symtab_find(&names->syms, pcs[i] - 1, &s);
		at = trace_put_varint(at, pcs[i]);
		at = trace_put_varint(at, s.name == NULL ? 0 :
		    number_of_name(names, gen, s.name, strcspn(s.name, ".")));
		at = trace_put_varint(at, s.path == NULL ? 0 :
		    number_of_name(names, gen, s.path, strlen(s.path)));
		at = trace_put_varint(at, 0);
	}
	names->batch.n += (size_t)(at - start);
}

static void
begin(struct trace_names *names, struct trace_out *out, uint64_t gen, enum trace_event first)
{
	names->batch.out = out;
	names->batch.gen = gen;
	names->batch.thread = TRACE_NO_THREAD;
	names->batch.first = (uint8_t)first;
	names->batch.n = 0;
}

void
wf_trace_out_stacks(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id)
{
	begin(names, out, gen, EV_STACKS);
	for (const struct trace_block *b = t->blocks; b != NULL; b = b->next) {
		const struct trace_item *i = wf_trace_item_first(b);

		for (; i != NULL; i = wf_trace_item_next(b, i))
			put_stack(names, gen, number_of(i->id, m_id),
			    (const uintptr_t *)(const void *)i->data,
			    i->bytes / (uint32_t)sizeof(uintptr_t));
	}
	wf_trace_batch_flush(&names->batch);
}

static void
put_string(struct trace_batch *b, uint64_t id, const void *s, size_t n)
{
	uint8_t *start = wf_trace_batch_room(b, TRACE_STRING_MAX + 32), *at = start;

	*at++ = EV_STRING;
	at = trace_put_varint(at, id);
	at = trace_put_varint(at, n);
	memcpy(at, s, n);
	b->n += (size_t)(at - start) + n;
}

void
wf_trace_out_strings(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id)
{
	begin(names, out, gen, EV_STRINGS);
	for (const struct trace_block *b = t->blocks; b != NULL; b = b->next) {
		const struct trace_item *i = wf_trace_item_first(b);

		for (; i != NULL; i = wf_trace_item_next(b, i))
			put_string(&names->batch, number_of(i->id, m_id), i->data, i->bytes);
	}
	wf_trace_batch_flush(&names->batch);
}

/* As dumps have them. Of those that are too long for a string, the first. */
static void
put_labels(struct trace_batch *b, uint64_t id, const struct trace_item *i)
{
	size_t at = 0, room = TRACE_STRING_MAX;
	struct label_text l = { .bytes = i->bytes };
	struct wf_out text;

	memcpy(l.text, i->data, wf_min(sizeof(l.text), (size_t)i->bytes));
	while (at < l.bytes) {
		size_t key = strlen(l.text + at) + 1, value = strlen(l.text + at + key) + 1;

		if (2 * (key + value) + 8 > room)	/* all escaped, and in quotes */
			break;
		room -= 2 * (key + value) + 8;
		at += key + value;
		l.n++;
	}
	wf_out_init(&text, -1);
	wf_labels_print(&text, &l);
	put_string(b, id, text.buf, text.n);
}

void
wf_trace_out_labels(struct trace_out *out, struct trace_names *names, uint64_t gen,
    const struct trace_table *t, uint32_t m_id)
{
	begin(names, out, gen, EV_STRINGS);
	for (const struct trace_block *b = t->blocks; b != NULL; b = b->next) {
		const struct trace_item *i = wf_trace_item_first(b);

		for (; i != NULL; i = wf_trace_item_next(b, i))
			put_labels(&names->batch, number_of(i->id, m_id) | TRACE_LABELS, i);
	}
	wf_trace_batch_flush(&names->batch);
}

void
wf_trace_out_fixed(struct trace_out *out, struct trace_names *names, uint64_t gen)
{
	uint8_t frequency[1 + TRACE_VARINT_MAX], *at = frequency;

	*at++ = EV_FREQUENCY;
	at = trace_put_varint(at, TRACE_UNITS_PER_S);
	wf_trace_out_batch(out, gen, TRACE_NO_THREAD, trace_now(), frequency,
	    (size_t)(at - frequency));
	begin(names, out, gen, EV_STRINGS);
	for (uint32_t i = 0; i < TRACE_STRINGS_OWN; i++) {
		const char *s = wf_event_own_string(i);

		if (s != NULL)
			put_string(&names->batch, i, s, strlen(s));
	}
	wf_trace_batch_flush(&names->batch);
}

void
wf_trace_out_events(struct trace_out *out, struct trace_block *newest)
{
	struct trace_block *oldest = NULL, *next;

	for (; newest != NULL; newest = next) {
		next = newest->next;
		newest->next = oldest;
		oldest = newest;
	}
	for (struct trace_block *b = oldest; b != NULL; b = b->next)
		if (b->n != 0)
			wf_trace_out_batch(out, b->gen, (uint64_t)b->tid, b->first, b->data, b->n);
	wf_trace_block_free(oldest);
}
