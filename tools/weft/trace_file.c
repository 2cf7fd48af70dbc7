/*
 * Reading generations. See trace_file.h.
 */
#include "trace_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX ((uint64_t)64 << 10)	/* what Go's reader takes */

bool
trace_error(struct trace_error *error, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (error->what[0] != '\0')
		return false;
	error->at = at;
	va_start(ap, fmt);
	(void)vsnprintf(error->what, sizeof(error->what), fmt, ap);
	va_end(ap);
	return false;
}

bool
trace_varint(struct trace_bytes *b, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && b->at < b->end; shift += 7) {
		uint8_t byte = *b->at++;

		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

void *
trace_vector_add(struct trace_vector *v, size_t item, struct trace_error *error)
{
	if (v->n == v->cap) {
		size_t cap = v->cap == 0 ? 64 : 2 * v->cap;
		void *items = realloc(v->items, cap * item);

		if (items == NULL) {
			(void)trace_error(error, 0, "out of memory");
			return NULL;
		}
		v->items = items;
		v->cap = cap;
	}
	return (char *)v->items + v->n++ * item;
}

static size_t
offset(const struct trace_file *f, const uint8_t *at)
{
	return (size_t)(at - f->data);
}

/* ---- what batches hold ---- */

static bool
read_strings(struct trace_file *f, struct trace_bytes b)
{
	while (b.at < b.end) {
		size_t at = offset(f, b.at);
		struct trace_string *s;
		uint64_t id, n;

		if (*b.at++ != EV_STRING || !trace_varint(&b, &id) || !trace_varint(&b, &n) ||
		    id == 0 || n > TRACE_STRING_MAX || n > (uint64_t)(b.end - b.at))
			return trace_error(f->error, at, "not a string");
		s = trace_vector_add(&f->strings, sizeof(*s), f->error);
		if (s == NULL)
			return false;
		*s = (struct trace_string){ id, { (const char *)b.at, (size_t)n } };
		b.at += n;
	}
	return true;
}

/* Frames refer to strings that may stand behind them: all strings have been read before. */
static bool
read_frames(struct trace_file *f, struct trace_bytes *b, struct trace_frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = offset(f, b->at);
		const struct trace_text *function, *file;
		uint64_t pc, function_id, file_id, line;

		if (!trace_varint(b, &pc) || !trace_varint(b, &function_id) ||
		    !trace_varint(b, &file_id) || !trace_varint(b, &line))
			return trace_error(f->error, at, "not a frame of a stack");
		function = trace_file_text(f, function_id);
		file = trace_file_text(f, file_id);
		if (function == NULL || file == NULL)
			return trace_error(f->error, at, "no string %" PRIu64,
			    function == NULL ? function_id : file_id);
		frames[i] = (struct trace_frame){ pc, line, *function, *file };
	}
	return true;
}

static bool
read_stacks(struct trace_file *f, struct trace_bytes b)
{
	while (b.at < b.end) {
		size_t at = offset(f, b.at);
		struct trace_frame *frames, **kept;
		struct trace_stack *s;
		uint64_t id, n;

		if (*b.at++ != EV_STACK || !trace_varint(&b, &id) || !trace_varint(&b, &n) ||
		    id == 0 || n > TRACE_FRAMES_MAX)
			return trace_error(f->error, at, "not a stack");
		s = trace_vector_add(&f->stacks, sizeof(*s), f->error);
		kept = trace_vector_add(&f->frames, sizeof(*kept), f->error);
		if (s == NULL || kept == NULL)
			return false;
		*kept = frames = calloc((size_t)n + 1, sizeof(*frames));
		if (frames == NULL)
			return trace_error(f->error, 0, "out of memory");
		*s = (struct trace_stack){ id, (size_t)n, frames };
		if (!read_frames(f, &b, frames, (size_t)n))
			return false;
	}
	return true;
}

static bool
read_frequency(struct trace_file *f, struct trace_bytes b)
{
	size_t at = offset(f, b.at);
	uint64_t v;

	if (f->frequency != 0)
		return trace_error(f->error, at, "a second frequency in a generation");
	if (!trace_varint(&b, &v) || b.at != b.end || v == 0)
		return trace_error(f->error, at, "not a frequency");
	f->frequency = v;
	return true;
}

/* ---- generations ---- */

/* The next batch and what it begins with; its generation to *gen. */
static bool
read_head(struct trace_file *f, struct trace_batch *ret, uint64_t *gen)
{
	struct trace_bytes b = { f->data + f->at, f->data + f->n };
	uint64_t n;

	if (*b.at++ != EV_BATCH)
		return trace_error(f->error, f->at, "no batch begins here");
	if (!trace_varint(&b, gen) || !trace_varint(&b, &ret->thread) ||
	    !trace_varint(&b, &ret->time) || !trace_varint(&b, &n))
		return trace_error(f->error, f->at, "the head of a batch is not whole");
	if (*gen == 0)
		return trace_error(f->error, f->at, "generation 0");
	if (n > BATCH_MAX)
		return trace_error(f->error, f->at, "a batch of %" PRIu64 " bytes", n);
	if (n > (uint64_t)(b.end - b.at))
		return trace_error(f->error, f->at, "a batch is not whole: the trace was cut off");
	ret->bytes = (struct trace_bytes){ b.at, b.at + n };
	return true;
}

/* All batches of the generation into f->batches, in their order. */
static bool
read_batches(struct trace_file *f)
{
	uint64_t gen = 0;

	f->gen = 0;
	while (f->at < f->n) {
		struct trace_batch head, *b;

		if (!read_head(f, &head, &gen))
			return false;
		if (f->gen == 0)
			f->gen = gen;
		if (gen == f->gen + 1)
			return true;
		if (gen != f->gen)
			return trace_error(f->error, f->at, "generation %" PRIu64 " after %" PRIu64,
			    gen, f->gen);
		b = trace_vector_add(&f->batches, sizeof(*b), f->error);
		if (b == NULL)
			return false;
		*b = head;
		f->at = offset(f, head.bytes.end);
	}
	return true;
}

/* Those that hold no events are read, and taken out, if they are of that kind. */
static bool
take_batches(struct trace_file *f, enum trace_event kind,
    bool (*read)(struct trace_file *f, struct trace_bytes b))
{
	struct trace_batch *batches = f->batches.items;
	size_t kept = 0;

	for (size_t i = 0; i < f->batches.n; i++) {
		struct trace_bytes b = batches[i].bytes;

		if (b.at == b.end || *b.at != kind) {
			batches[kept++] = batches[i];
			continue;
		}
		b.at++;
		if (!read(f, b))
			return false;
	}
	f->batches.n = kept;
	return true;
}

static int
compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_ids(const void *a, const void *b)
{
	/* Stacks and strings begin with it. */
	return compare(*(const uint64_t *)a, *(const uint64_t *)b);
}

static int
compare_batches(const void *a, const void *b)
{
	const struct trace_batch *x = a, *y = b;
	int by_thread = compare(x->thread, y->thread);

	return by_thread != 0 ? by_thread
	    : compare((uintptr_t)x->bytes.at, (uintptr_t)y->bytes.at);
}

static bool
sort_by_id(struct trace_file *f, struct trace_vector *v, size_t item, const char *what)
{
	if (v->n < 2)
		return true;
	qsort(v->items, v->n, item, compare_ids);
	for (const char *p = v->items; p < (const char *)v->items + (v->n - 1) * item; p += item)
		if (compare_ids(p, p + item) == 0)
			return trace_error(f->error, f->at, "two %s of number %" PRIu64
			    " in generation %" PRIu64, what, *(const uint64_t *)(const void *)p,
			    f->gen);
	return true;
}

bool
trace_file_open(struct trace_file *f, const uint8_t *data, size_t n, struct trace_error *error)
{
	memset(f, 0, sizeof(*f));
	memset(error, 0, sizeof(*error));
	f->data = data;
	f->n = n;
	f->error = error;
	if (n < TRACE_HEADER_BYTES || memcmp(data, TRACE_HEADER, TRACE_HEADER_BYTES) != 0)
		return trace_error(error, 0, "not a trace of weft's: it does not begin with"
		    " \"go 1.22 trace\"");
	f->at = TRACE_HEADER_BYTES;
	if (n == f->at)
		return trace_error(error, f->at, "an empty trace");
	return true;
}

int
trace_file_next(struct trace_file *f)
{
	f->frequency = 0;
	f->batches.n = f->strings.n = f->stacks.n = 0;
	if (f->at == f->n)
		return 0;
	if (!read_batches(f) || !take_batches(f, EV_STRINGS, read_strings) ||
	    !sort_by_id(f, &f->strings, sizeof(struct trace_string), "strings") ||
	    !take_batches(f, EV_STACKS, read_stacks) ||
	    !sort_by_id(f, &f->stacks, sizeof(struct trace_stack), "stacks") ||
	    !take_batches(f, EV_FREQUENCY, read_frequency))
		return -1;
	if (f->frequency == 0) {
		(void)trace_error(
		    f->error, f->at, "generation %" PRIu64 " has no frequency", f->gen);
		return -1;
	}
	if (f->batches.n > 1)
		qsort(f->batches.items, f->batches.n, sizeof(struct trace_batch), compare_batches);
	return 1;
}

void
trace_file_close(struct trace_file *f)
{
	struct trace_frame **frames = f->frames.items;

	for (size_t i = 0; i < f->frames.n; i++)
		free(frames[i]);
	free(f->frames.items);
	free(f->batches.items);
	free(f->strings.items);
	free(f->stacks.items);
}

static const void *
find(const struct trace_vector *v, size_t item, uint64_t id)
{
	return v->n == 0 ? NULL : bsearch(&id, v->items, v->n, item, compare_ids);
}

const struct trace_stack *
trace_file_stack(const struct trace_file *f, uint64_t id)
{
	static const struct trace_stack none;

	return id == 0 ? &none : find(&f->stacks, sizeof(struct trace_stack), id);
}

const struct trace_text *
trace_file_text(const struct trace_file *f, uint64_t id)
{
	static const struct trace_text none = { "", 0 };
	const struct trace_string *s;

	if (id == 0)
		return &none;
	s = find(&f->strings, sizeof(*s), id);
	return s == NULL ? NULL : &s->text;
}
