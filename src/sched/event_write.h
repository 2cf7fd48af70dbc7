/*
 * One event of the trace being written: for event.c. README.md in trace/ has the protocol.
 */
#ifndef WEFT_SCHED_EVENT_WRITE_H
#define WEFT_SCHED_EVENT_WRITE_H

#include "os/os.h"
#include "sched/sched.h"
#include "trace/encode.h"
#include "trace/word.h"

/* Ps with ids from here on are foreign threads, each by the id of its goroutine. */
#define EVENT_OWN_P ((uint64_t)PROCS_MAX)
/* What one event and all that it must say before take at most. */
#define EVENT_BYTES_MAX 512u

struct event_writer {
	struct m *m;
	struct trace_m *t;
	struct trace_block *b;
	int64_t now;
	uint32_t gen;
};

/*
 * A writer lives in registers: functions that are not inline get a copy.
 */

/* ---- event_write.c ---- */
/* A block of m's for generation gen that has room for bytes more, or NULL: the trace is broken. */
struct trace_block *wf_event_room(struct m *m, uint32_t gen, int64_t now, uint32_t bytes);
/* The first mention of what word stands for in this generation: says what it was until now. */
void wf_event_say_slow(struct event_writer w, _Atomic uint64_t *word, uint64_t id,
    enum trace_event status, uint32_t state, const struct m *on);
/* The P of m, or the one that m is if it is foreign. */
void wf_event_say_p_slow(struct event_writer w, struct m *m, enum trace_p state);
/* P and goroutine of m, as they are; and with `ends`, a call is over that has not been ended. */
void wf_event_say_context_slow(struct event_writer w, struct m *m, bool ends);
/* Numbers of a stack of one frame, of a string. 0 = none. */
uint64_t wf_event_stack_of(struct event_writer w, uintptr_t pc);
uint64_t wf_event_string(struct event_writer w, const char *s);
/* The labels of g, which runs on w.m with a P, as they are. */
void wf_event_say_labels(struct event_writer w, struct g *g);
void wf_event_break(void);
/* A number of this thread's, as others know it. */
static inline uint64_t
event_number(const struct m *m, uint32_t n)
{
	return n == 0 ? 0 : (uint64_t)n << TRACE_M_BITS | (m->id & TRACE_M_MASK);
}

/* ---- event_stack.c ---- */
/* The number of the stack of who called the function of frame fp, which runs on m. 0 = none. */
struct trace_packed wf_event_stack(struct m *m, uint32_t gen, uintptr_t fp);
#define event_stack(w) \
	wf_event_stack((w)->m, (w)->gen, (uintptr_t)__builtin_frame_address(0))

static inline bool
event_open(struct event_writer *w, struct m *m, int64_t now)
{
	w->m = m;
	w->t = &m->trace;
	w->now = now;
	w->b = w->t->side[w->gen % 2].events;
	if (wf_unlikely(w->b == NULL || w->b->gen != w->gen ||
	    w->b->n + EVENT_BYTES_MAX > TRACE_BLOCK_CAP ||
	    w->b->tid != wf_load_relaxed(&m->tid)))
		w->b = wf_event_room(m, w->gen, now, EVENT_BYTES_MAX);
	return w->b != NULL;
}

/* G2: false: there is no trace any more. */
static inline bool
event_begin(struct event_writer *w, struct m *m)
{
	struct trace_m *t = &m->trace;

	wf_store_relaxed(&t->busy, 1);
	wf_compiler_barrier();	/* the tracer's membarrier orders the two */
	if (wf_unlikely(!wf_sched.has_membarrier))
		wf_fence_seqcst();
	w->gen = wf_load_acquire(&wf_trace.gen);			/* G1 */
	if (wf_likely(w->gen != 0 && event_open(w, m, trace_now())))
		return true;
	wf_store_release(&t->busy, 0);
	return false;
}

static inline void
event_end(const struct event_writer *w)
{
	wf_store_release(&w->t->busy, 0);				/* G3 */
}

/* An event after all before it: times in a block grow. Its numbers and event_put_end() follow. */
static WF_ALWAYS_INLINE uint8_t *
event_put_begin(const struct event_writer *w, enum trace_event type)
{
	struct trace_block *b = w->b;
	uint8_t *at = b->data + b->n;
	int64_t dt = wf_max(w->now - b->last, (int64_t)1);

	b->last += dt;
	*at = (uint8_t)type;
	return trace_put_varint(at + 1, (uint64_t)dt);
}

static WF_ALWAYS_INLINE void
event_put_end(const struct event_writer *w, const uint8_t *at)
{
	w->b->n = (uint32_t)(at - w->b->data);
}

/* With n <= 3 numbers. */
static WF_ALWAYS_INLINE uint8_t *
event_put_numbers(const struct event_writer *w, enum trace_event type, int n, uint64_t a,
    uint64_t b, uint64_t c)
{
	uint8_t *at = event_put_begin(w, type);

	if (n >= 1)
		at = trace_put_varint(at, a);
	if (n >= 2)
		at = trace_put_varint(at, b);
	if (n >= 3)
		at = trace_put_varint(at, c);
	return at;
}

#define event_put_padded(w, type, n, a, b, c, ...) event_put_numbers(w, type, n, a, b, c)
#define event_put(w, type, n, ...) \
	event_put_end((w), event_put_padded((w), (type), n, ##__VA_ARGS__, 0, 0, 0))
/* With a stack behind them. */
#define event_put_stack(w, type, stack, n, ...) \
	event_put_end((w), trace_put_packed(event_put_padded( \
	    (w), (type), n, ##__VA_ARGS__, 0, 0, 0), (stack)))

/* ---- words: only their owner changes them within a generation that has named them (G5) ---- */

/* Its next event, of those that have numbers. Returns the number. */
static inline uint64_t
event_word_next(const struct event_writer *w, _Atomic uint64_t *word, uint32_t state, uint32_t m)
{
	uint64_t v = trace_word_next(wf_load_relaxed(word));
	uint32_t seq = trace_word_unpack(v).seq;

	(void)w;
	if (wf_unlikely(seq == TRACE_SEQ_MAX))
		wf_event_break();
	wf_store_relaxed(word, trace_word_with(v, state, m));
	return seq;
}

/* An event without a number. */
static inline void
event_word_keep(const struct event_writer *w, _Atomic uint64_t *word, uint32_t state, uint32_t m)
{
	(void)w;
	wf_store_relaxed(word, trace_word_with(wf_load_relaxed(word), state, m));
}

/* Of what is new in this generation. */
static inline void
event_word_new(const struct event_writer *w, _Atomic uint64_t *word, uint32_t state)
{
	wf_store_relaxed(word,
	    trace_word_pack((struct trace_word){ .gen = w->gen, .state = state }));
}

static inline void
event_say(const struct event_writer *w, _Atomic uint64_t *word, uint64_t id,
    enum trace_event status, uint32_t state, const struct m *on)
{
	uint64_t v = wf_load_relaxed(word);

	if (wf_unlikely(trace_word_unpack(v).gen != (w->gen & TRACE_GEN_MASK) || (v & 7) == 0))
		wf_event_say_slow(*w, word, id, status, state, on);
}

/* g was in that state until now, on the thread `on` if that is not NULL. */
static inline void
event_say_g(const struct event_writer *w, struct g *g, enum trace_g state, const struct m *on)
{
	event_say(w, &g->trace, wf_load_relaxed(&g->id), EV_GO_STATUS, state, on);
}

/* g, which runs on w's M with a P, has labels that were not told in this generation: says them. */
static inline void
event_say_labels(const struct event_writer *w, struct g *g)
{
	if (wf_unlikely(wf_load_relaxed(&g->tags) != NULL) &&
	    (wf_load_relaxed(&g->trace) & TRACE_TOLD) == 0)
		wf_event_say_labels(*w, g);
}

static inline uint64_t
event_own_p_id(const struct m *m)
{
	return EVENT_OWN_P + wf_load_relaxed(&m->bound_g.id);
}

static inline bool
event_is_in_syscall(const struct event_writer *w)
{
	return w->t->syscall_gen != 0 && w->t->syscall_gen >= wf_load_relaxed(&wf_trace.first);
}

/* m's P and goroutine, which runs: every event needs them to be known. */
static inline void
event_say_context(const struct event_writer *w, struct m *m)
{
	if (wf_unlikely(w->t->said != w->gen || w->t->syscall_gen != 0))
		wf_event_say_context_slow(*w, m, true);
}

/* m's P; it has no goroutine. */
static inline void
event_say_p(const struct event_writer *w, struct m *m)
{
	if (wf_unlikely(w->t->said != w->gen))
		wf_event_say_p_slow(*w, m, TP_RUNNING);
	w->t->said = w->gen;
}

#endif /* WEFT_SCHED_EVENT_WRITE_H */
