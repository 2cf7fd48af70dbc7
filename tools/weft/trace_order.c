/*
 * Putting a trace's events in order. See trace_order.h.
 *
 * Each thread's events are in order; those of different threads are merged by time. But clocks are
 * not trusted: an event that can't have happened in the state that goroutines, Ps and threads are
 * in waits until it can: it is tried again when what it waits for has changed, and only then, so
 * that the work grows with the events, whatever they are. Starts and wake-ups of a goroutine, and
 * starts and thefts of a P, carry numbers, which decide most of it (src/trace/README.md, "The
 * format"). When all threads' next events wait, events are missing. As for Go's parser, nothing of
 * a generation has happened before the last event of the one before.
 */
#include "trace_order.h"

#include "trace_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The next event of a thread. */
struct cursor {
	const struct trace_batch *batch, *end;	/* end: of the thread's batches */
	struct trace_bytes rest;		/* of the batch, after the event */
	uint64_t time;				/* of the event */
	struct trace_step step;
	struct cursor *next;			/* that waits for the same */
	uint64_t turn;				/* the last try of it that was an event */
	bool waits;
};

struct order {
	struct trace_file file;
	struct trace_state state;
	struct trace_error *error;
	struct cursor *cursors;			/* of the generation, by thread */
	struct cursor **heap;			/* binary, by time: those that don't wait */
	size_t n, n_heap;
	struct idmap wait_ids;			/* of struct trace_wait */
	struct trace_vector waiting;		/* by its numbers: the first struct cursor * */
	int64_t since;				/* the last time in the generations before */
	int64_t last;				/* the same, and in this one */
	uint64_t tries;
};

/* ---- one event ---- */

enum arg { ARG_NUMBER, ARG_TEXT, ARG_STACK };

/* What each has after its time. */
static const struct form {
	uint8_t n;
	uint8_t args[4];
} forms[] = {
	[EV_PROCS_CHANGE] = { 2, { ARG_NUMBER, ARG_STACK } },
	[EV_PROC_START] = { 2, { 0 } },
	[EV_PROC_STOP] = { 0, { 0 } },
	[EV_PROC_STEAL] = { 3, { 0 } },
	[EV_PROC_STATUS] = { 2, { 0 } },
	[EV_GO_CREATE] = { 3, { ARG_NUMBER, ARG_STACK, ARG_STACK } },
	[EV_GO_START] = { 2, { 0 } },
	[EV_GO_DESTROY] = { 0, { 0 } },
	[EV_GO_STOP] = { 2, { ARG_TEXT, ARG_STACK } },
	[EV_GO_BLOCK] = { 2, { ARG_TEXT, ARG_STACK } },
	[EV_GO_UNBLOCK] = { 3, { ARG_NUMBER, ARG_NUMBER, ARG_STACK } },
	[EV_SYSCALL_BEGIN] = { 2, { ARG_NUMBER, ARG_STACK } },
	[EV_SYSCALL_END] = { 0, { 0 } },
	[EV_SYSCALL_END_BLOCKED] = { 0, { 0 } },
	[EV_GO_STATUS] = { 3, { 0 } },
	[EV_GO_LABEL] = { 1, { ARG_TEXT } },
	[EV_TASK_BEGIN] = { 4, { ARG_NUMBER, ARG_NUMBER, ARG_TEXT, ARG_STACK } },
	[EV_TASK_END] = { 2, { ARG_NUMBER, ARG_STACK } },
	[EV_REGION_BEGIN] = { 3, { ARG_NUMBER, ARG_TEXT, ARG_STACK } },
	[EV_REGION_END] = { 3, { ARG_NUMBER, ARG_TEXT, ARG_STACK } },
	[EV_LOG] = { 4, { ARG_NUMBER, ARG_TEXT, ARG_TEXT, ARG_STACK } },
};

static bool
read_arg(struct order *o, struct trace_step *s, enum arg kind, uint64_t v)
{
	s->args[s->n_args++] = v;
	if (kind == ARG_STACK) {
		s->stack = trace_file_stack(&o->file, v);
		if (s->n_stacks++ == 0)
			s->first_stack = s->stack;
		if (s->stack == NULL)
			return trace_error(o->error, s->at, "no stack %" PRIu64, v);
	} else if (kind == ARG_TEXT) {
		const struct trace_text *text = trace_file_text(&o->file, v);

		if (text == NULL)
			return trace_error(o->error, s->at, "no string %" PRIu64, v);
		s->texts[s->n_texts++] = *text;
	}
	return true;
}

__extension__ typedef unsigned __int128 wide;

/* Nanoseconds of the trace's clock. */
static bool
to_ns(struct order *o, uint64_t time, size_t at, int64_t *ret)
{
	/* Whole seconds and the rest, so that neither product overflows. */
	uint64_t f = o->file.frequency, s = time / f, rest = time % f;

	if (s >= (uint64_t)INT64_MAX / 1000000000 - 1)
		return trace_error(o->error, at, "a time that is too large");
	*ret = (int64_t)(s * 1000000000 + (uint64_t)((wide)rest * 1000000000 / f));
	return true;
}

/* The event at c->rest into c->step. */
static bool
read_event(struct order *o, struct cursor *c)
{
	struct trace_step *s = &c->step;
	uint64_t dt, v;

	memset(s, 0, sizeof(*s));
	s->at = (size_t)(c->rest.at - o->file.data);
	s->thread = c->batch->thread;
	s->type = *c->rest.at++;
	if (s->type < EV_PROCS_CHANGE || s->type >= wf_countof(forms) ||
	    (forms[s->type].n == 0 && s->type != EV_PROC_STOP && s->type != EV_GO_DESTROY &&
	    s->type != EV_SYSCALL_END && s->type != EV_SYSCALL_END_BLOCKED))
		return trace_error(o->error, s->at, "an event of the unknown kind %u",
		    (unsigned)s->type);
	if (!trace_varint(&c->rest, &dt))
		return trace_error(o->error, s->at, "an event is not whole");
	if (c->time + dt < dt)
		return trace_error(o->error, s->at, "a time that is too large");
	c->time += dt;
	for (unsigned i = 0; i < forms[s->type].n; i++) {
		if (!trace_varint(&c->rest, &v))
			return trace_error(o->error, s->at, "an event is not whole");
		if (!read_arg(o, s, forms[s->type].args[i], v))
			return false;
	}
	if (!to_ns(o, c->time, s->at, &s->ns))
		return false;
	/* A thread may have gone on to this generation while another still wrote in the last. */
	s->ns = wf_max(s->ns, o->since);
	o->last = wf_max(o->last, s->ns);
	return true;
}

/* The thread's next event. *more: there is one. */
static bool
advance(struct order *o, struct cursor *c, bool *more)
{
	while (c->rest.at == c->rest.end) {
		if (++c->batch == c->end) {
			*more = false;
			return true;
		}
		c->rest = c->batch->bytes;
		c->time = c->batch->time;
	}
	*more = true;
	return read_event(o, c);
}

/* ---- the order ---- */

/*
 * What a generation says of a state holds for all of it: its time is of no interest. At the same
 * time the thread that was last goes on, then the one of the lowest number.
 */
static bool
is_before(const struct cursor *a, const struct cursor *b)
{
	bool is_status = trace_step_is_status(&a->step);

	if (is_status != trace_step_is_status(&b->step))
		return is_status;
	if (a->step.ns != b->step.ns)
		return a->step.ns < b->step.ns;
	return a->turn != b->turn ? a->turn > b->turn : a < b;
}

static void
swap(struct cursor **a, struct cursor **b)
{
	struct cursor *t = *a;

	*a = *b;
	*b = t;
}

static void
sift_down(struct order *o)
{
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < o->n_heap; child++)
			if (is_before(o->heap[child], o->heap[least]))
				least = child;
		if (least == i)
			return;
		swap(&o->heap[i], &o->heap[least]);
		i = least;
	}
}

static void
put(struct order *o, struct cursor *c)
{
	size_t i = o->n_heap++;

	o->heap[i] = c;
	for (; i > 0 && is_before(o->heap[i], o->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&o->heap[i], &o->heap[(i - 1) / 2]);
}

static struct cursor *
take_first(struct order *o)
{
	struct cursor *first = o->heap[0];

	o->heap[0] = o->heap[--o->n_heap];
	sift_down(o);
	return first;
}

static bool
wait_for(struct order *o, struct cursor *c, const struct trace_wait *w)
{
	size_t i = idmap_add(&o->wait_ids, w, sizeof(*w));
	struct cursor **first;

	if (i == IDMAP_NONE)
		return trace_error(o->error, 0, "out of memory");
	if (i == o->waiting.n) {
		first = trace_vector_add(&o->waiting, sizeof(struct cursor *), o->error);
		if (first == NULL)
			return false;
		*first = NULL;
	}
	first = (struct cursor **)o->waiting.items + i;
	c->next = *first;
	c->waits = true;
	*first = c;
	return true;
}

/* All that wait for it are to be tried. */
static void
wake(struct order *o, const struct trace_wait *w)
{
	size_t i = idmap_find(&o->wait_ids, w, sizeof(*w));
	struct cursor **first;

	if (i == IDMAP_NONE)
		return;
	first = (struct cursor **)o->waiting.items + i;
	for (struct cursor *c = *first; c != NULL; c = c->next) {
		c->waits = false;
		put(o, c);
	}
	*first = NULL;
}

/* The event of c has happened. */
static bool
go_on(struct order *o, struct cursor *c)
{
	bool more;

	c->turn = o->tries;
	for (size_t i = 0; i < o->state.n_changed; i++)
		wake(o, &o->state.changed[i]);
	if (!advance(o, c, &more))
		return false;
	if (more)
		put(o, c);
	return true;
}

/* Nothing waits that could still happen. Of what does, the earliest is named. */
static bool
check_all_done(struct order *o)
{
	const struct cursor *first = NULL;

	for (const struct cursor *c = o->cursors; c < o->cursors + o->n; c++)
		if (c->waits && (first == NULL || is_before(c, first)))
			first = c;
	return first == NULL || trace_error(o->error, first->step.at, "%s on thread %" PRIu64
	    ": what must come before it is missing", trace_step_name(&first->step),
	    first->step.thread);
}

static bool
merge(struct order *o)
{
	while (o->n_heap > 0) {
		struct cursor *c = take_first(o);
		const struct trace_step *s = &c->step;

		o->tries++;
		switch (trace_state_apply(&o->state, s)) {
		case STEP_DONE:
			if (!go_on(o, c))
				return false;
			break;
		case STEP_NOT_YET:
			if (!wait_for(o, c, &o->state.wait))
				return false;
			break;
		case STEP_NEVER:
			return trace_error(o->error, s->at, "%s on thread %" PRIu64
			    " can't have happened", trace_step_name(s), s->thread);
		}
	}
	return check_all_done(o);
}

static void
forget_waits(struct order *o)
{
	idmap_free(&o->wait_ids);
	o->waiting.n = 0;
}

/* A cursor for each thread of the generation. */
static bool
begin(struct order *o)
{
	const struct trace_batch *batches = o->file.batches.items;
	size_t n = o->file.batches.n;

	free(o->cursors);
	free(o->heap);
	o->cursors = malloc((n + 1) * sizeof(*o->cursors));
	o->heap = malloc((n + 1) * sizeof(struct cursor *));
	if (o->cursors == NULL || o->heap == NULL)
		return trace_error(o->error, 0, "out of memory");
	o->n = o->n_heap = 0;
	forget_waits(o);
	for (size_t i = 0, end; i < n; i = end) {
		struct cursor *c = &o->cursors[o->n];
		bool more;

		for (end = i; end < n && batches[end].thread == batches[i].thread;)
			end++;
		*c = (struct cursor){ .batch = &batches[i], .end = &batches[end],
		    .rest = batches[i].bytes, .time = batches[i].time };
		if (!advance(o, c, &more))
			return false;
		if (!more)
			continue;
		o->n++;
		put(o, c);
	}
	return true;
}

/* When the first generation begins: the head of its earliest batch. */
static bool
begin_time(struct order *o)
{
	const struct trace_batch *b = o->file.batches.items;
	uint64_t first = UINT64_MAX;
	int64_t ns = 0;

	for (size_t i = 0; i < o->file.batches.n; i++)
		first = wf_min(first, b[i].time);
	if (first == UINT64_MAX)
		first = 0;
	if (!to_ns(o, first, o->file.at, &ns))
		return false;
	trace_state_begin(&o->state, ns);
	return true;
}

static bool
read_all(struct order *o)
{
	bool is_first = true;
	int r;

	while ((r = trace_file_next(&o->file)) > 0) {
		if (is_first && !begin_time(o))
			return false;
		is_first = false;
		o->state.gen = o->file.gen;
		o->since = o->last;
		if (!begin(o) || !merge(o))
			return false;
	}
	return r == 0;
}

bool
trace_read(const uint8_t *data, size_t n, const struct trace_sink *sink,
    struct trace_bounds *ret_bounds, struct trace_error *error)
{
	struct order o = { .error = error, .state = { .sink = sink, .error = error } };
	bool ok = trace_file_open(&o.file, data, n, error) && read_all(&o);

	if (ok) {
		trace_state_end(&o.state);
		*ret_bounds = (struct trace_bounds){ o.state.from, o.state.to, o.tries };
	}
	ok = ok && error->what[0] == '\0';
	trace_state_free(&o.state);
	trace_file_close(&o.file);
	forget_waits(&o);
	free(o.waiting.items);
	free(o.cursors);
	free(o.heap);
	return ok;
}
