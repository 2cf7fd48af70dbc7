/*
 * A profile of the times in which a trace's goroutines did not run, by the stack at which they
 * stopped: how often, and for how long.
 */
#include "idmap.h"
#include "trace_convert.h"

#include "debug/pprof.h"

#include <stdlib.h>

struct sample {
	uint64_t count, ns;
};

/* What samples are told apart by: labels, then locations. */
struct key {
	uint64_t reason, function;	/* strings */
	uint64_t locations[TRACE_FRAMES_MAX];
};

#define KEY_BYTES(n) ((2 + (n)) * sizeof(uint64_t))
#define LABEL_MAX ((size_t)64)
#define MESSAGE_MAX (KEY_BYTES(TRACE_FRAMES_MAX) + (TRACE_FRAMES_MAX + 2) * 4 + 2 * LABEL_MAX)

struct profile {
	FILE *out;
	enum trace_only only;
	bool failed;			/* no memory */
	struct idmap strings;		/* number n is string n; 0 is "" */
	struct idmap locations;		/* pc, line, function: + 1 */
	struct idmap functions;		/* name, file: + 1 */
	struct idmap keys;
	struct trace_vector samples;	/* by their keys' numbers */
};

/* A message of the whole. */
static void
emit(const struct profile *p, unsigned field, const void *data, size_t n)
{
	uint8_t head[PPROF_HEAD_MAX], *end = trace_put_varint(head, field << 3 | 2);

	end = trace_put_varint(end, n);
	(void)fwrite(head, 1, (size_t)(end - head), p->out);
	(void)fwrite(data, 1, n, p->out);
}

static void
emit_number(const struct profile *p, unsigned field, uint64_t v)
{
	uint8_t m[PPROF_HEAD_MAX];

	(void)fwrite(m, 1, (size_t)(pprof_put_number(m, field, v) - m), p->out);
}

static uint64_t
number(struct profile *p, struct idmap *m, const void *bytes, size_t n)
{
	size_t i = idmap_add(m, bytes, n);

	p->failed |= i == IDMAP_NONE;
	return p->failed ? 0 : i;
}

static uint64_t
string(struct profile *p, const char *s, size_t n)
{
	return number(p, &p->strings, s, n);
}

static void
emit_type(struct profile *p, const char *type, const char *unit)
{
	uint8_t m[LABEL_MAX], *at = m;

	at = pprof_put_number(at, TYPE_TYPE, string(p, type, strlen(type)));
	at = pprof_put_number(at, TYPE_UNIT, string(p, unit, strlen(unit)));
	emit(p, PROFILE_SAMPLE_TYPE, m, (size_t)(at - m));
}

static uint64_t
function(struct profile *p, const struct trace_frame *f)
{
	uint64_t key[2] = { string(p, f->function.s, f->function.n),
		string(p, f->file.s, f->file.n) };
	size_t known = p->functions.n;
	uint64_t id = number(p, &p->functions, key, sizeof(key)) + 1;
	uint8_t m[LABEL_MAX], *at = m;

	if (id > known) {
		at = pprof_put_number(at, FUNCTION_ID, id);
		at = pprof_put_number(at, FUNCTION_NAME, key[0]);
		at = pprof_put_number(at, FUNCTION_FILE, key[1]);
		emit(p, PROFILE_FUNCTION, m, (size_t)(at - m));
	}
	return id;
}

static uint64_t
location(struct profile *p, const struct trace_frame *f)
{
	uint64_t key[3] = { f->pc, f->line, f->function.n == 0 ? 0 : function(p, f) };
	size_t known = p->locations.n;
	uint64_t id = number(p, &p->locations, key, sizeof(key)) + 1;
	uint8_t m[2 * LABEL_MAX], line[LABEL_MAX], *at = m, *end;

	if (id > known) {
		at = pprof_put_number(at, LOCATION_ID, id);
		at = pprof_put_number(at, LOCATION_ADDRESS, f->pc);
		if (key[2] != 0) {
			end = pprof_put_number(line, LINE_FUNCTION, key[2]);
			end = pprof_put_number(end, LINE_LINE, f->line);
			at = pprof_put_bytes(at, LOCATION_LINE, line, (size_t)(end - line));
		}
		emit(p, PROFILE_LOCATION, m, (size_t)(at - m));
	}
	return id;
}

static bool
contains(struct trace_text t, const char *word)
{
	return memmem(t.s, t.n, word, strlen(word)) != NULL;
}

/* What the span is called, if it is wanted; n 0: it is not. */
static struct trace_text
reason_of(const struct trace_span *s, enum trace_only only)
{
	static const struct trace_text none = { "", 0 };
	bool is_net = contains(s->reason, "network");
	bool is_sync = contains(s->reason, "chan") || contains(s->reason, "sync") ||
	    contains(s->reason, "select");

	switch (s->state) {
	case TG_RUNNABLE:
		return only == ONLY_ALL || only == ONLY_SCHED
		    ? (struct trace_text){ "runnable", 8 } : none;
	case TG_SYSCALL:
		return only == ONLY_ALL || only == ONLY_SYSCALL
		    ? (struct trace_text){ "syscall", 7 } : none;
	case TG_WAITING:
		if ((only == ONLY_NET && !is_net) || (only == ONLY_SYNC && !is_sync) ||
		    only == ONLY_SCHED || only == ONLY_SYSCALL)
			return none;
		return s->reason.n != 0 ? s->reason : (struct trace_text){ "not known", 9 };
	default:
		return none;
	}
}

/* A stack that nobody has seen is the function that the goroutine began with, as far as known. */
static size_t
put_locations(struct profile *p, const struct trace_span *s, uint64_t *locations)
{
	struct trace_frame only = { .function = s->function, .file = { "", 0 } };

	for (size_t i = 0; i < s->stack->n; i++)
		locations[i] = location(p, &s->stack->frames[i]);
	if (s->stack->n != 0)
		return s->stack->n;
	if (only.function.n == 0)
		only.function = (struct trace_text){ "(no stack)", 10 };
	locations[0] = location(p, &only);
	return 1;
}

static void
on_span(void *arg, const struct trace_span *s)
{
	struct profile *p = arg;
	struct trace_text reason = reason_of(s, p->only);
	struct trace_error error = { 0, "" };
	struct sample *sample;
	struct key key;
	size_t known = p->keys.n, n, i;

	if (reason.n == 0)
		return;
	key.reason = string(p, reason.s, reason.n);
	key.function = string(p, s->function.s, s->function.n);
	n = put_locations(p, s, key.locations);
	i = number(p, &p->keys, &key, KEY_BYTES(n));
	if (!p->failed && i == known) {
		sample = trace_vector_add(&p->samples, sizeof(*sample), &error);
		if (sample != NULL)
			*sample = (struct sample){ 0, 0 };
		p->failed |= sample == NULL;
	}
	if (p->failed)
		return;
	sample = (struct sample *)p->samples.items + i;
	sample->count++;
	sample->ns += (uint64_t)(s->to - s->from);
}

static uint8_t *
put_label(struct profile *p, uint8_t *at, const char *name, uint64_t value)
{
	uint8_t label[LABEL_MAX], *end;

	if (value == 0)
		return at;
	end = pprof_put_number(label, LABEL_KEY, string(p, name, strlen(name)));
	end = pprof_put_number(end, LABEL_STR, value);
	return pprof_put_bytes(at, SAMPLE_LABEL, label, (size_t)(end - label));
}

static void
emit_samples(struct profile *p)
{
	for (size_t i = 0; i < p->samples.n; i++) {
		const struct sample *s = (const struct sample *)p->samples.items + i;
		const uint64_t *key = p->keys.keys[i].bytes;
		size_t n = p->keys.keys[i].n / sizeof(*key);
		uint8_t m[MESSAGE_MAX], *at = m;

		for (size_t k = 2; k < n; k++)
			at = pprof_put_number(at, SAMPLE_LOCATION, key[k]);
		at = pprof_put_number(at, SAMPLE_VALUE, s->count);
		at = pprof_put_number(at, SAMPLE_VALUE, s->ns);
		at = put_label(p, at, "reason", key[0]);
		at = put_label(p, at, "function", key[1]);
		emit(p, PROFILE_SAMPLE, m, (size_t)(at - m));
	}
}

bool
trace_to_pprof(
    const struct trace_input *in, enum trace_only only, FILE *out, struct trace_error *error)
{
	struct profile p = { .out = out, .only = only };
	const struct trace_sink sink = { &p, on_span, NULL, NULL };
	struct trace_bounds bounds;
	bool ok;

	(void)string(&p, "", 0);
	emit_type(&p, "contentions", "count");
	emit_type(&p, "delay", "nanoseconds");
	ok = trace_read(in->data, in->n, &sink, &bounds, error);
	if (ok) {
		emit_samples(&p);
		emit_number(&p, PROFILE_DURATION, (uint64_t)(bounds.to - bounds.from));
		for (size_t i = 0; i < p.strings.n; i++)
			emit(&p, PROFILE_STRING, p.strings.keys[i].bytes, p.strings.keys[i].n);
	}
	if (ok && p.failed)
		ok = trace_error(error, 0, "out of memory");
	idmap_free(&p.strings);
	idmap_free(&p.locations);
	idmap_free(&p.functions);
	idmap_free(&p.keys);
	free(p.samples.items);
	return ok;
}
