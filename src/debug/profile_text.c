/*
 * A profile as text, in Go's form (debug=1 of its endpoint): how many, their return addresses and
 * labels, and a line for each function. pprof reads the first, and people the rest.
 */
#include "debug/profile_table.h"

#include "debug/out.h"
#include "debug/symtab.h"
#include "debug/trace_out.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

static void
print_label(struct wf_out *o, bool is_first, const char *key, const char *value)
{
	wf_out_str(o, is_first ? "# labels: {" : ", ");
	wf_out_quoted(o, key);
	wf_out_str(o, ":");
	wf_out_quoted(o, value);
}

/* Its name is the label "goroutine", as in the other form. */
static void
print_labels(struct wf_out *o, const struct profile_sample *s)
{
	const char *key = s->labels == NULL ? NULL : s->labels->text;
	bool is_first = s->name[0] == '\0';

	if (!is_first)
		print_label(o, true, "goroutine", s->name);
	for (unsigned i = 0; s->labels != NULL && i < s->labels->n; i++) {
		const char *value = key + strlen(key) + 1;

		print_label(o, is_first, key, value);
		is_first = false;
		key = value + strlen(value) + 1;
	}
	if (!is_first)
		wf_out_str(o, "}\n");
}

static void
print_frame(struct wf_out *o, struct wf_symtab *syms, uintptr_t pc)
{
	struct wf_symbol s;

	wf_symtab_find(syms, pc - 1, &s);
	wf_out_str(o, "#\t");
	wf_out_hex(o, pc);
	wf_out_str(o, "\t");
	if (s.name != NULL)
		wf_out_mem(o, s.name, strcspn(s.name, "."));
	else
		wf_out_str(o, "??");
	if (s.path != NULL) {
		wf_out_str(o, "\t");
		wf_out_str(o, s.path);
		wf_out_str(o, "/?.c:0 +");
		wf_out_hex(o, s.file_pc);
	}
	wf_out_str(o, "\n");
}

static void
print_sample(struct wf_out *o, struct wf_symtab *syms, const struct profile_sample *s)
{
	uint32_t n = s->n_pcs, from = wf_trace_stack_trim(syms, s->pcs, &n);

	/* A remark, if there is no address: a reader of counts wants one. */
	wf_out_str(o, from == n ? "# " : "");
	wf_out_i64(o, s->count);
	wf_out_str(o, from == n ? " that run; stack unavailable" : " @");
	for (uint32_t i = from; i < n; i++) {
		wf_out_str(o, " ");
		wf_out_hex(o, s->pcs[i]);
	}
	wf_out_str(o, "\n");
	print_labels(o, s);
	for (uint32_t i = from; i < n; i++)
		print_frame(o, syms, s->pcs[i]);
	wf_out_str(o, "\n");
}

/* The largest count below that one, or 0. */
static int64_t
next_count(const struct profile_table *t, int64_t below)
{
	int64_t next = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->samples[i].count < below)
			next = wf_max(next, t->samples[i].count);
	return next;
}

int
wf_profile_table_print(const struct profile_table *t, const char *name, int fd)
{
	struct wf_symtab *syms = wf_os_map(sizeof(*syms));
	int64_t total = 0;
	struct wf_out o;

	if (syms == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		total += t->samples[i].count;
	wf_out_init(&o, fd);
	wf_out_str(&o, name);
	wf_out_str(&o, " profile: total ");
	wf_out_i64(&o, total);
	wf_out_str(&o, "\n");
	/* The most first. */
	for (int64_t c = next_count(t, INT64_MAX); c > 0; c = next_count(t, c))
		for (uint32_t i = 0; i < t->n; i++)
			if (t->samples[i].count == c)
				print_sample(&o, syms, &t->samples[i]);
	wf_out_flush(&o);
	wf_symtab_close(syms);
	wf_os_unmap(syms, sizeof(*syms));
	return o.is_broken ? -EIO : 0;
}
