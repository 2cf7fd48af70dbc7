/*
 * A trace in the Trace Event Format: a process with a row for each P, which shows who ran on it,
 * and one with a row for each goroutine, which shows what it did, and what the program said.
 * Source: "Trace Event Format", the Chromium project.
 */
#include "idmap.h"
#include "json.h"
#include "trace_convert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSORS 1		/* process ids */
#define GOROUTINES 2

struct chrome {
	FILE *out;
	int64_t from;
	bool is_first;		/* no event has been written */
	bool failed;		/* no memory */
	struct idmap frames;	/* struct frame_key */
	struct idmap names;	/* of functions */
	struct idmap ps;
	struct idmap tasks;
	struct trace_vector task_names;
};

/* A frame and all below it. */
struct frame_key {
	size_t parent;		/* number + 1; 0: none */
	size_t name;
};

static void
text(const struct chrome *c, struct trace_text t)
{
	json_string(c->out, t.s, t.n);
}

/* Microseconds since the trace began. */
static void
time_field(const struct chrome *c, const char *name, int64_t ns)
{
	(void)fprintf(c->out, ",\"%s\":%" PRId64 ".%03d", name, ns / 1000, (int)(ns % 1000));
}

/* Begins an event; the caller ends it by "}". */
static void
begin(struct chrome *c, const char *phase, int process, uint64_t row)
{
	(void)fprintf(c->out, "%s{\"ph\":\"%s\",\"pid\":%d,\"tid\":%" PRIu64,
	    c->is_first ? "" : ",\n", phase, process, row);
	c->is_first = false;
}

static size_t
number(struct chrome *c, struct idmap *m, const void *bytes, size_t n)
{
	size_t i = idmap_add(m, bytes, n);

	c->failed |= i == IDMAP_NONE;
	return i;
}

/* The number of a stack in "stackFrames", + 1; 0: it is empty. */
static size_t
stack_frame(struct chrome *c, const struct trace_stack *s)
{
	struct frame_key key = { 0, 0 };

	for (size_t i = s->n; i-- > 0 && !c->failed;) {
		struct trace_text name = s->frames[i].function;

		key.name = number(c, &c->names, name.s, name.n);
		key.parent = number(c, &c->frames, &key, sizeof(key)) + 1;
	}
	return key.parent;
}

/* ---- spans ---- */

static void
span_times(struct chrome *c, const struct trace_span *s)
{
	size_t frame = stack_frame(c, s->stack);

	time_field(c, "ts", s->from - c->from);
	time_field(c, "dur", s->to - s->from);
	/* A stack is where a state began: of one that runs, where it ran before. */
	if (frame != 0 && s->state != TG_RUNNING)
		(void)fprintf(c->out, ",\"sf\":%zu", frame);
}

static void
on_row_of_p(struct chrome *c, const struct trace_span *s)
{
	(void)number(c, &c->ps, &s->p, sizeof(s->p));
	begin(c, "X", PROCESSORS, s->p);
	(void)fputs(",\"name\":", c->out);
	if (s->function.n != 0)
		text(c, s->function);
	else
		(void)fprintf(c->out, "\"goroutine %" PRIu64 "\"", s->g);
	span_times(c, s);
	(void)fprintf(c->out, ",\"args\":{\"goroutine\":%" PRIu64 "%s}}", s->g,
	    s->state == TG_SYSCALL ? ",\"in\":\"syscall\"" : "");
}

static void
on_row_of_g(struct chrome *c, const struct trace_span *s)
{
	static const struct trace_text names[] = {
		[TG_RUNNABLE] = { "runnable", 8 }, [TG_RUNNING] = { "running", 7 },
		[TG_SYSCALL] = { "syscall", 7 }, [TG_WAITING] = { "waiting", 7 },
	};
	bool is_wait = s->state == TG_WAITING && s->reason.n != 0;

	begin(c, "X", GOROUTINES, s->g);
	(void)fputs(",\"name\":", c->out);
	text(c, is_wait ? s->reason : names[s->state]);
	span_times(c, s);
	(void)fputs(",\"args\":{", c->out);
	if (s->state == TG_RUNNING && s->p != TRACE_NO_P)
		(void)fprintf(c->out, "\"processor\":%" PRIu64, s->p);
	else if (s->by != 0)
		(void)fprintf(c->out, "\"by goroutine\":%" PRIu64, s->by);
	(void)fputs("}}", c->out);
}

static void
on_span(void *arg, const struct trace_span *s)
{
	struct chrome *c = arg;

	if (s->from == s->to)
		return;
	if ((s->state == TG_RUNNING || s->state == TG_SYSCALL) && s->p != TRACE_NO_P)
		on_row_of_p(c, s);
	on_row_of_g(c, s);
}

/* ---- what the program said ---- */

/* The name that a task began with, kept for its end. */
static struct trace_text
task_name(struct chrome *c, const struct trace_mark *m)
{
	size_t known = c->tasks.n, i = number(c, &c->tasks, &m->task, sizeof(m->task));
	struct trace_error error = { 0, "" };
	struct trace_text *name;

	if (i == IDMAP_NONE)
		return m->name;
	if (i == known) {
		name = trace_vector_add(&c->task_names, sizeof(*name), &error);
		if (name == NULL) {
			c->failed = true;
			return m->name;
		}
		*name = m->kind == MARK_TASK_BEGIN ? m->name : (struct trace_text){ "task", 4 };
	}
	return ((struct trace_text *)c->task_names.items)[i];
}

/* Regions of a goroutine nest; those of a task are its own. */
static void
on_mark(void *arg, const struct trace_mark *m)
{
	static const char *const phases[] = { "b", "e", "b", "e", "i" };
	bool is_task = m->kind == MARK_TASK_BEGIN || m->kind == MARK_TASK_END;
	struct chrome *c = arg;

	begin(c, phases[m->kind], GOROUTINES, m->g);
	(void)fputs(",\"name\":", c->out);
	text(c, is_task ? task_name(c, m) : m->name);
	time_field(c, "ts", m->at - c->from);
	if (m->kind == MARK_LOG)
		(void)fputs(",\"s\":\"t\"", c->out);
	else
		(void)fprintf(c->out, ",\"cat\":\"%s\",\"id\":\"%s %" PRIu64 "\"",
		    is_task ? "task" : "region", is_task ? "task" : "goroutine",
		    is_task ? m->task : m->g);
	(void)fputs(",\"args\":{", c->out);
	if (m->task != 0)
		(void)fprintf(c->out, "\"task\":%" PRIu64, m->task);
	if (m->kind == MARK_TASK_BEGIN && m->parent != 0)
		(void)fprintf(c->out, ",\"parent\":%" PRIu64, m->parent);
	if (m->kind == MARK_LOG) {
		(void)fputs(m->task != 0 ? ",\"text\":" : "\"text\":", c->out);
		text(c, m->text);
	}
	(void)fputs("}}", c->out);
}

/* ---- names ---- */

static void
row_name(struct chrome *c, int process, uint64_t row, const char *what, struct trace_text name)
{
	char prefix[64];

	begin(c, "M", process, row);
	(void)snprintf(prefix, sizeof(prefix), "%s %" PRIu64, what, row);
	(void)fprintf(c->out, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"", prefix);
	if (name.n != 0) {
		(void)fputs(",\"function\":", c->out);
		text(c, name);
	}
	(void)fputs("}}", c->out);
}

static void
on_goroutine(void *arg, uint64_t g, struct trace_text function)
{
	row_name(arg, GOROUTINES, g, "goroutine", function);
}

static void
process_name(struct chrome *c, int process, const char *name)
{
	begin(c, "M", process, 0);
	(void)fprintf(c->out, ",\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}", name);
}

static void
print_frames(const struct chrome *c)
{
	(void)fputs("],\n\"stackFrames\":{", c->out);
	for (size_t i = 0; i < c->frames.n; i++) {
		const struct frame_key *key = c->frames.keys[i].bytes;
		const struct idmap_key *name = &c->names.keys[key->name];

		(void)fprintf(c->out, "%s\"%zu\":{\"name\":", i == 0 ? "" : ",\n", i + 1);
		json_string(c->out, name->bytes, name->n);
		if (key->parent != 0)
			(void)fprintf(c->out, ",\"parent\":\"%zu\"", key->parent);
		(void)fputs("}", c->out);
	}
	(void)fputs("}}\n", c->out);
}

bool
trace_to_chrome(const struct trace_input *in, FILE *out, struct trace_error *error)
{
	struct chrome c = { .out = out, .from = in->bounds.from, .is_first = true };
	const struct trace_sink sink = { &c, on_span, on_mark, on_goroutine };
	struct trace_bounds bounds;
	bool ok;

	(void)fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", out);
	process_name(&c, PROCESSORS, "processors");
	process_name(&c, GOROUTINES, "goroutines");
	ok = trace_read(in->data, in->n, &sink, &bounds, error);
	for (size_t i = 0; i < c.ps.n; i++) {
		uint64_t p;

		memcpy(&p, c.ps.keys[i].bytes, sizeof(p));
		row_name(&c, PROCESSORS, p, "processor", (struct trace_text){ "", 0 });
	}
	print_frames(&c);
	if (ok && c.failed)
		ok = trace_error(error, 0, "out of memory");
	idmap_free(&c.frames);
	idmap_free(&c.names);
	idmap_free(&c.ps);
	idmap_free(&c.tasks);
	free(c.task_names.items);
	return ok;
}
