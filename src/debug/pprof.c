/*
 * The pprof form of a table: a protocol buffer, written without the compression that its readers do
 * not insist on. The form is in pprof.h.
 */
#include "debug/pprof.h"

#include "debug/out.h"
#include "debug/profile_table.h"
#include "debug/trace_out.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A sample: 48 locations of 11 bytes, 17 labels of 24, and the rest. */
#define MESSAGE_MAX ((size_t)2048)
#define GEN 1u

struct pprof {				/* owned by one thread */
	struct wf_symtab syms;
	struct trace_out out;
	struct trace_table strings;	/* number n is string n; 0 is "" */
	struct trace_table locations;	/* by pc */
	struct trace_table functions;	/* by number of their name */
};

/* A message of the whole, or a number. */
static void
emit(struct pprof *p, unsigned field, const void *data, size_t n)
{
	uint8_t *at = wf_trace_out_room(&p->out, n + PPROF_HEAD_MAX);

	if (at != NULL)
		p->out.n += (size_t)(pprof_put_bytes(at, field, data, n) - at);
}

static void
emit_number(struct pprof *p, unsigned field, int64_t v)
{
	uint8_t *at = wf_trace_out_room(&p->out, PPROF_HEAD_MAX);

	if (at != NULL)
		p->out.n += (size_t)(pprof_put_number(at, field, (uint64_t)v) - at);
}

static uint64_t
string(struct pprof *p, const char *s, size_t n)
{
	return n == 0 ? 0
	    : wf_trace_intern(&p->strings, GEN, s, (uint32_t)wf_min(n, (size_t)TRACE_STRING_MAX));
}

static void
emit_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
	uint8_t m[64], *at = m;

	at = pprof_put_number(at, TYPE_TYPE, string(p, type, strlen(type)));
	at = pprof_put_number(at, TYPE_UNIT, string(p, unit, strlen(unit)));
	emit(p, field, m, (size_t)(at - m));
}

static uint64_t
function(struct pprof *p, const struct wf_symbol *s)
{
	uint64_t name = string(p, s->name, strcspn(s->name, "."));
	uint32_t known = p->functions.n;
	uint32_t id = wf_trace_intern(&p->functions, GEN, &name, sizeof(name));
	uint8_t m[64], *at = m;

	if (id > known) {
		at = pprof_put_number(at, FUNCTION_ID, id);
		at = pprof_put_number(at, FUNCTION_NAME, name);
		at = pprof_put_number(at, FUNCTION_FILE,
		    s->path == NULL ? 0 : string(p, s->path, strlen(s->path)));
		emit(p, PROFILE_FUNCTION, m, (size_t)(at - m));
	}
	return id;
}

static uint64_t
location(struct pprof *p, uintptr_t pc)
{
	uint32_t known = p->locations.n;
	uint32_t id = wf_trace_intern(&p->locations, GEN, &pc, sizeof(pc));
	uint8_t m[64], line[16], *at = m;
	struct wf_symbol s;

	if (id <= known)
		return id;
	wf_symtab_find(&p->syms, pc - 1, &s);
	at = pprof_put_number(at, LOCATION_ID, id);
	at = pprof_put_number(at, LOCATION_ADDRESS, pc - 1);
	if (s.name != NULL) {
		uint8_t *end = pprof_put_number(line, LINE_FUNCTION, function(p, &s));

		at = pprof_put_bytes(at, LOCATION_LINE, line, (size_t)(end - line));
	}
	emit(p, PROFILE_LOCATION, m, (size_t)(at - m));
	return id;
}

static uint8_t *
put_label(struct pprof *p, uint8_t *at, const char *key, const char *value)
{
	uint8_t label[32], *end;

	end = pprof_put_number(label, LABEL_KEY, string(p, key, strlen(key)));
	end = pprof_put_number(end, LABEL_STR, string(p, value, strlen(value)));
	return pprof_put_bytes(at, SAMPLE_LABEL, label, (size_t)(end - label));
}

static uint8_t *
put_labels(struct pprof *p, uint8_t *at, const struct wf_tags *labels)
{
	const char *key = labels == NULL ? NULL : labels->text;

	for (unsigned i = 0; labels != NULL && i < labels->n; i++) {
		const char *value = key + strlen(key) + 1;

		at = put_label(p, at, key, value);
		key = value + strlen(value) + 1;
	}
	return at;
}

static void
emit_sample(struct pprof *p, const struct profile_sample *s, const struct profile_kind *kind)
{
	uint8_t m[MESSAGE_MAX], *at = m;
	uint32_t n = s->n_pcs, from = wf_trace_stack_trim(&p->syms, s->pcs, &n);

	for (uint32_t i = from; i < n; i++)
		at = pprof_put_number(at, SAMPLE_LOCATION, location(p, s->pcs[i]));
	at = pprof_put_number(at, SAMPLE_VALUE, (uint64_t)s->count);
	if (kind->type[1] != NULL)
		at = pprof_put_number(at, SAMPLE_VALUE, (uint64_t)s->ns);
	if (s->name[0] != '\0')
		at = put_label(p, at, "goroutine", s->name);
	at = put_labels(p, at, s->labels);
	emit(p, PROFILE_SAMPLE, m, (size_t)(at - m));
}

/* In the order of their numbers. */
static void
emit_strings(struct pprof *p)
{
	struct trace_block *oldest = NULL, *next;

	emit(p, PROFILE_STRING, "", 0);
	for (struct trace_block *b = p->strings.blocks; b != NULL; b = next) {
		next = b->next;
		b->next = oldest;
		oldest = b;
	}
	p->strings.blocks = oldest;
	for (const struct trace_block *b = oldest; b != NULL; b = b->next)
		for (const struct trace_item *i = wf_trace_item_first(b); i != NULL;
		     i = wf_trace_item_next(b, i))
			emit(p, PROFILE_STRING, i->data, i->bytes);
}

int
wf_profile_table_write(const struct profile_table *t, const struct profile_kind *kind, int fd)
{
	struct pprof *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		if (kind->type[i] != NULL)
			emit_type(p, PROFILE_SAMPLE_TYPE, kind->type[i], kind->unit[i]);
	for (uint32_t i = 0; i < t->n; i++)
		emit_sample(p, &t->samples[i], kind);
	if (kind->period_type != NULL) {
		emit_type(p, PROFILE_PERIOD_TYPE, kind->period_type, kind->period_unit);
		emit_number(p, PROFILE_PERIOD, kind->period);
	}
	emit_number(p, PROFILE_TIME, wf_os_wall_clock());
	emit_number(p, PROFILE_DURATION, kind->duration_ns);
	if (kind->comment != NULL)
		emit_number(p, PROFILE_COMMENT,
		    (int64_t)string(p, kind->comment, strlen(kind->comment)));
	emit_strings(p);
	r = p->out.failed ? -ENOMEM : wf_out_all(fd, p->out.data, p->out.n);
	wf_trace_block_free(p->strings.blocks);
	wf_trace_block_free(p->locations.blocks);
	wf_trace_block_free(p->functions.blocks);
	wf_trace_out_free(&p->out);
	wf_symtab_close(&p->syms);
	free(p);
	return r;
}
