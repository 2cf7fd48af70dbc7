/*
 * Generations. See trace_gen.h.
 */
#include "debug/trace_gen.h"

#include "debug/trace_clock.h"
#include "debug/peek.h"
#include "os/os.h"
#include "sched/event_write.h"
#include "sched/go.h"
#include "sched/sched.h"
#include "trace/word.h"

#include <string.h>

#define SPINS 1000
#define NAP_NS 100000
#define FOREVER INT64_MAX

static void
nap(int i)
{
	static _Atomic uint32_t never;

	if (i < SPINS)
		wf_cpu_relax();
	else
		(void)wf_os_futex_wait(&never, 0, wf_os_now() + NAP_NS);
}

/* All threads pass a full fence. */
static void
fence_all(void)
{
	for (int i = SPINS; wf_sched.has_membarrier && wf_os_membarrier() != 0; i++)
		nap(i);		/* out of memory */
	wf_fence_seqcst();
}

/*
 * G3: no thread writes an event of an older generation any more. False: one of them did not answer
 * in time.
 */
static bool
await_writers(int64_t until)
{
	fence_all();
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		for (int i = 0; wf_load_acquire(&m->trace.busy) != 0; i++) {	/* G3 */
			nap(i);
			if (until != FOREVER && wf_os_now() > until)
				return false;
		}
	return true;
}

/* G0: every thread has been outside the runtime, or asleep in it, since we listen. */
static void
await_threads(void)
{
	fence_all();
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		for (int i = 0; wf_load_relaxed(&m->tid) != 0 &&
		     wf_load_acquire(&m->gate.in_runtime) != 0 &&
		     wf_load_acquire(&m->is_resting) == 0; i++)		/* G0 */
			nap(i);
}

/* ---- those that nobody names (G4) ---- */

static const struct m *
m_of(uint32_t id)
{
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		if ((m->id & TRACE_M_MASK) == id)
			return m;
	return NULL;
}

/* A status event in a batch of its own thread, if it is on one, else in the tracer's. */
static void
put_status(struct trace_gen *t, uint64_t id, enum trace_event status, uint32_t state, int tid)
{
	uint8_t event[64], *start = event, *at;
	int64_t now = trace_now();

	if (tid == 0)
		start = wf_trace_batch_room(&t->said, sizeof(event));
	at = start;
	*at++ = (uint8_t)status;
	at = trace_put_varint(at, tid == 0 ? (uint64_t)wf_max(now - t->said.last, (int64_t)1) : 1);
	at = trace_put_varint(at, id);
	if (status == EV_GO_STATUS)
		at = trace_put_varint(at, tid != 0 ? (uint64_t)tid : TRACE_NO_THREAD);
	at = trace_put_varint(at, state);
	if (tid != 0) {
		wf_trace_out_batch(
		    &t->out, t->gen, (uint64_t)tid, now, event, (size_t)(at - event));
	} else {
		t->said.last += wf_max(now - t->said.last, (int64_t)1);
		t->said.n += (size_t)(at - start);
	}
}

/* What a word stands for, as far as it is known without it. */
struct subject {
	_Atomic uint64_t *word;
	uint64_t id;
	enum trace_event status;
	uint32_t state;			/* at the start of a session, when words say nothing */
	const struct m *on;
};

/*
 * Claims the subject for this generation unless it has been named in it or in the next (G5). Its
 * id and thread were read before: if the claim succeeds nothing has happened to it since.
 */
static void
say(struct trace_gen *t, struct subject *s, uint64_t old, bool is_first)
{
	struct trace_word v = trace_word_unpack(old);
	const struct m *m = s->on;
	uint32_t state = s->state;
	int tid = 0;

	if (v.gen == (t->gen & TRACE_GEN_MASK))
		return;
	if (!is_first) {
		if (v.state == 0 || v.state == TRACE_GONE ||
		    v.gen == ((t->gen + 1) & TRACE_GEN_MASK))
			return;
		state = v.state;
		m = m_of(v.m);
	}
	if (s->status == EV_GO_STATUS ? state == TG_RUNNING || state == TG_SYSCALL
	    : state != TP_IDLE)
		tid = m != NULL ? wf_load_relaxed(&m->tid) : 0;
	v = (struct trace_word){ .gen = t->gen, .state = state,
	    .m = tid != 0 ? m->id : 0 };
	if (wf_cas_acqrel(s->word, &old, trace_word_pack(v)))		/* G5 */
		put_status(t, s->id, s->status, state, tid);
}

struct scan {
	struct trace_gen *t;
	bool is_first;
};

/* What the scheduler says of g. Whoever changes it must name it first, so the claim decides. */
static bool
state_of(const struct g *g, struct subject *s)
{
	struct p *p = NULL;
	struct g copy;

	if (!wf_peek_copy(&copy, (uintptr_t)g, sizeof(copy), /* direct */ true))
		return false;
	s->on = NULL;
	switch (wf_load_relaxed(&copy.status)) {
	case G_RUNNABLE:
		s->state = TG_RUNNABLE;
		break;
	case G_WAITING:
		s->state = TG_WAITING;
		break;
	case G_RUNNING:
		s->on = copy.m;
		if (copy.m == NULL || !wf_peek_copy(&p, (uintptr_t)&copy.m->p, sizeof(p), true))
			return false;
		s->state = p != NULL || (wf_load_relaxed(&copy.flags) & GF_BOUND) ? TG_RUNNING
		    : TG_SYSCALL;
		break;
	default:
		return false;
	}
	s->id = wf_load_relaxed(&copy.id);
	return s->id != 0;
}

static void
scan_g(struct g *g, void *arg)
{
	const struct scan *scan = arg;
	uint64_t old = wf_load_acquire(&g->trace);			/* G5 */
	struct subject s = { .word = &g->trace, .status = EV_GO_STATUS,
	    .id = wf_load_relaxed(&g->id) };

	if (s.id == 0 || (scan->is_first && !state_of(g, &s)))
		return;
	say(scan->t, &s, old, scan->is_first);
}

static void
scan_ps(struct trace_gen *t, bool is_first)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);
		uint64_t old = wf_load_acquire(&p->trace);		/* G5 */
		struct subject s = { .word = &p->trace, .id = p->id, .status = EV_PROC_STATUS };

		s.on = wf_load_acquire(&p->m);
		s.state = s.on != NULL ? TP_RUNNING : TP_IDLE;
		say(t, &s, old, is_first);
	}
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next) {
		uint64_t old = wf_load_acquire(&m->trace.own_p);	/* G5 */
		struct subject s = { .word = &m->trace.own_p, .id = event_own_p_id(m),
		    .status = EV_PROC_STATUS, .state = TP_RUNNING, .on = m };

		if (wf_load_relaxed(&m->bound_g.status) != G_DEAD)
			say(t, &s, old, is_first);
	}
}

static void
scan_all(struct trace_gen *t, bool is_first)
{
	struct scan scan = { t, is_first };

	scan_ps(t, is_first);
	wf_g_each(scan_g, &scan);
}

/* ---- generations ---- */

static void
begin(struct trace_gen *t, uint32_t gen)
{
	t->out = (struct trace_out){ .data = t->spare.data, .cap = t->spare.cap };
	memset(&t->spare, 0, sizeof(t->spare));
	if (gen == 0)
		wf_trace_out_free(&t->out);
	t->gen = gen;
	t->began = wf_os_now();
	t->said.out = &t->out;
	t->said.gen = gen;
	t->said.thread = (uint64_t)wf_os_tid();
	t->said.first = 0;
	t->said.n = 0;
	if (gen != 0)
		wf_trace_out_fixed(&t->out, &t->names, gen);
}

void
wf_trace_gen_open(struct trace_gen *t)
{
	wf_trace_clock_start();
	begin(t, ++t->next);
	wf_store_relaxed(&wf_trace.broken, 0);
	wf_store_relaxed(&wf_trace.first, t->gen);
	wf_store_seqcst(&wf_trace.gen, t->gen);				/* G1 */
	await_threads();						/* G0 */
	scan_all(t, /* is_first */ true);
}

/* All that threads have written of generation gen, to out if that is not NULL (G6). */
static void
collect(struct trace_gen *t, uint32_t gen, struct trace_out *out)
{
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next) {
		struct trace_side *s = &m->trace.side[gen % 2];

		if (out != NULL) {
			wf_trace_out_stacks(out, &t->names, gen, &s->stacks, m->id);
			wf_trace_out_strings(out, &t->names, gen, &s->strings, m->id);
			wf_trace_out_labels(out, &t->names, gen, &s->labels, m->id);
			wf_trace_out_events(out, s->events);
		} else {
			wf_trace_block_free(s->events);
		}
		wf_trace_block_free(s->seen);
		wf_trace_block_free(s->stacks.blocks);
		wf_trace_block_free(s->strings.blocks);
		wf_trace_block_free(s->labels.blocks);
		memset(s, 0, sizeof(*s));
	}
	if (out != NULL)
		wf_trace_out_strings(
		    out, &t->names, gen, &t->names.strings, TRACE_M_MASK);
	wf_trace_block_free(t->names.strings.blocks);
	memset(&t->names.strings, 0, sizeof(t->names.strings));
	wf_trace_block_forget(gen);
}

bool
wf_trace_gen_end(struct trace_gen *t, bool last, int64_t give_up, struct trace_out *ret)
{
	int64_t until = give_up == FOREVER ? FOREVER : wf_os_now() + give_up;
	uint32_t gen = t->gen;
	bool is_whole;

	if (!last)
		t->next++;
	wf_store_seqcst(&wf_trace.gen, last ? 0 : t->next);		/* G1 */
	if (!await_writers(until))					/* G3 */
		return false;
	scan_all(t, /* is_first */ false);				/* G4 */
	if (!await_writers(until))					/* G6 */
		return false;
	wf_trace_batch_flush(&t->said);
	is_whole = !wf_load_relaxed(&wf_trace.broken);
	collect(t, gen, is_whole ? &t->out : NULL);
	*ret = t->out;
	ret->at = wf_os_now();
	begin(t, last ? 0 : t->next);
	if (is_whole && !ret->failed)
		return true;
	wf_trace_out_free(ret);
	return false;
}

void
wf_trace_gen_reuse(struct trace_gen *t, struct trace_out *bytes)
{
	wf_trace_out_free(&t->spare);
	if (t->gen != 0)
		t->spare = *bytes;
	else
		wf_trace_out_free(bytes);
}

void
wf_trace_gen_drop(struct trace_gen *t)
{
	wf_store_seqcst(&wf_trace.gen, 0);				/* G1 */
	(void)await_writers(FOREVER);					/* G3 */
	collect(t, 0, NULL);
	collect(t, 1, NULL);
	wf_trace_out_free(&t->out);
	begin(t, 0);
}
