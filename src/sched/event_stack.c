/*
 * Stacks of events: walked by frame pointers, and known again when they come back.
 *
 * A walk is slow since each load waits for the one before, and what it finds is hashed. But the
 * distances between frames are the code's: who comes by the same calls finds the same ones. So a
 * thread remembers stacks that it has walked, and looks whether the present one is such a stack:
 * these loads wait for nothing. It is exact: every return address and every link is compared.
 */
#include "sched/event_write.h"

#include <string.h>

#define STACK_FRAMES 32u	/* a stack is cut at the bottom: what matters is near the event */
#define SEEN 64u		/* stacks that a thread remembers in a generation, a power of two */
#define GUESSES 256u		/* by eight bits */
#define GUESS_UNIT sizeof(uint64_t)	/* of distances: no multiplication */
#define CALLERS 6		/* innermost calls that tell where one is kept; four are ours */
#define ENTRY_BYTES 64u		/* wf_ctx_entry() is shorter on both processors */

/* Other people's frames: no sanitizer knows of them. */
#define WALKS __attribute__((no_sanitize_address)) __attribute__((no_sanitize_thread))

struct frame {
	uintptr_t link, pc;
};

struct seen_frame {
	uintptr_t at;			/* distance from the first frame */
	uintptr_t link, pc;		/* link: such a distance, too */
};

/* A stack that was walked, down to the frame where that ended. */
struct seen {
	struct trace_packed id;		/* its number; no bytes: nothing is here */
	uint32_t n;			/* frames to be looked at, all with a link */
	uint16_t n_walked;		/* return addresses that were found */
	bool has_last;			/* there is one more frame, where the walk ended */
	uintptr_t depth;		/* from the first frame to the end of the stack */
	struct seen_frame frame[STACK_FRAMES + 1];
};

/* What a thread remembers in a generation. */
struct memory {
	uint16_t guess[GUESSES];	/* by goroutine and innermost call: which of these it was,
					 * in units of GUESS_UNIT from the first */
	struct seen seen[SEEN];		/* by their innermost calls */
};

_Static_assert(sizeof(struct seen) % GUESS_UNIT == 0, "each is so many units away");
_Static_assert(SEEN * sizeof(struct seen) / GUESS_UNIT <= UINT16_MAX, "of 16 bits");
_Static_assert(sizeof(struct memory) <= TRACE_BLOCK_CAP, "it is in one block");

static WF_ALWAYS_INLINE const struct frame *
frame_at(uintptr_t fp)
{
	return (const struct frame *)fp;
}

/* Can there be a frame above fp? Its end, hi, is that of the stack. */
static WF_ALWAYS_INLINE bool
leads_up(uintptr_t fp, uintptr_t link, uintptr_t hi)
{
	return link > fp && link <= hi - sizeof(struct frame) && link % sizeof(uintptr_t) == 0;
}

/* fp is a frame. Returns how many return addresses there are, at most max. */
static WALKS uint32_t
walk(uintptr_t fp, uintptr_t hi, uintptr_t *pcs, uint32_t max)
{
	for (uint32_t n = 0;; fp = frame_at(fp)->link) {
		uintptr_t pc = frame_at(fp)->pc;

		if (n == max || pc == 0)
			return n;
		pcs[n++] = pc;
		if (!leads_up(fp, frame_at(fp)->link, hi))
			return n;
	}
}

WF_NOINLINE uint32_t
wf_walk_frames(const struct g *g, uintptr_t *pcs, uint32_t max)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0), hi;

	if (g == NULL || fp < wf_load_relaxed(&g->stack_lo))
		return 0;
	hi = wf_load_relaxed(&g->stack_hi);
	return leads_up(fp - 1, fp, hi) ? walk(fp, hi, pcs, max) : 0;
}

/* The same walk, remembered. */
static WALKS void
remember(struct seen *s, uintptr_t fp, uintptr_t hi)
{
	uintptr_t first = fp;

	s->depth = hi - fp;
	s->n = 0;
	for (;; fp = frame_at(fp)->link) {
		uintptr_t link = frame_at(fp)->link, pc = frame_at(fp)->pc;

		s->frame[s->n++] = (struct seen_frame){ fp - first, link - first, pc };
		if (s->n > STACK_FRAMES || pc == 0 || !leads_up(fp, link, hi))
			break;
	}
	/* The last frame has no link to compare; where the stack is cut it does not count. */
	s->has_last = --s->n != STACK_FRAMES;
	/* Nor do frames count that are the same in every goroutine: g_main()'s, and below it. */
	for (uint32_t i = 1; i <= s->n && s->has_last; i++)
		if (s->frame[i].pc - (uintptr_t)wf_ctx_entry < ENTRY_BYTES) {
			s->n = i;
			s->has_last = false;
		}
}

/* Would a walk from fp find what is remembered there? */
static WALKS WF_ALWAYS_INLINE bool
is_same(const struct seen *s, uintptr_t fp, uintptr_t hi)
{
	const struct seen_frame *f = s->frame, *end = f + s->n;
	uintptr_t differ = 0;

	if (s->depth != hi - fp)
		return false;
	for (; f < end; f++) {
		const struct frame *is = frame_at(fp + f->at);

		differ |= ((is->link - fp) ^ f->link) | (is->pc ^ f->pc);
	}
	if (differ != 0)
		return false;
	if (wf_likely(!s->has_last))
		return true;
	fp += f->at;
	return frame_at(fp)->pc == f->pc &&
	    (f->pc == 0 || !leads_up(fp, frame_at(fp)->link, hi));
}

/* Where a stack is remembered: by its innermost calls, as many as there are. */
static WALKS uint32_t
place_of(uintptr_t fp, uintptr_t hi)
{
	uint64_t h = 0;

	for (int i = 0; i < CALLERS; i++) {
		h = h * 5 + frame_at(fp)->pc;
		if (!leads_up(fp, frame_at(fp)->link, hi))
			break;
		fp = frame_at(fp)->link;
	}
	return (uint32_t)(h * 0x9e3779b97f4a7c15u >> 58) % SEEN;
}

/* Debug builds look whether a stack that was known again is the one that a walk finds. */
static WALKS WF_NOINLINE WF_UNUSED bool
is_walked(const struct seen *s, uintptr_t fp, uintptr_t hi)
{
	uintptr_t pcs[STACK_FRAMES];
	uint32_t n = walk(fp, hi, pcs, STACK_FRAMES);

	if (n != s->n_walked)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (pcs[i] != s->frame[i].pc)
			return false;
	return true;
}

static WALKS WF_ALWAYS_INLINE uint16_t *
guess_of(struct memory *memory, const struct g *g, uintptr_t fp)
{
	uint64_t h = (uint64_t)(uintptr_t)g * 9 + frame_at(fp)->pc;

	return &memory->guess[h * 0x9e3779b97f4a7c15u >> 56];
}

/* NULL: there is no block for it. */
static struct memory *
memory_of(struct trace_side *side, uint32_t gen)
{
	struct trace_block *b = side->seen;
	struct memory *memory;

	if (b != NULL)
		return (struct memory *)(void *)b->data;
	b = wf_trace_block_new(false);
	if (b == NULL)
		return NULL;
	b->gen = gen;
	side->seen = b;
	memory = (struct memory *)(void *)b->data;
	memset(memory->guess, 0, sizeof(memory->guess));
	for (uint32_t i = 0; i < SEEN; i++)
		memory->seen[i].id.bytes = 0;
	return memory;
}

/* Where it is remembered, or will be: two have room at a place, then the second makes room. */
static WALKS struct seen *
find(struct memory *memory, uintptr_t fp, uintptr_t hi)
{
	uint32_t place = place_of(fp, hi);
	struct seen *s = &memory->seen[place];

	return s->id.bytes == 0 || is_same(s, fp, hi) ? s : &memory->seen[place ^ 1];
}

/* Not where the guess said: it is kept elsewhere, or walked. */
static WF_NOINLINE WALKS struct trace_packed
look_up(struct m *m, uint32_t gen, uintptr_t fp, uintptr_t hi)
{
	struct trace_side *side = &m->trace.side[gen % 2];
	struct memory *memory = memory_of(side, gen);
	uintptr_t pcs[STACK_FRAMES];
	struct seen *s = NULL;
	struct trace_packed id;
	uint32_t n;

	if (memory != NULL) {
		s = find(memory, fp, hi);
		*guess_of(memory, m->gate.g, fp) = (uint16_t)(
		    ((uintptr_t)s - (uintptr_t)memory->seen) / GUESS_UNIT);
		if (s->id.bytes != 0 && is_same(s, fp, hi))
			return s->id;
	}
	n = walk(fp, hi, pcs, STACK_FRAMES);
	if (n == 0)
		return TRACE_PACKED_ZERO;
	id = trace_pack(event_number(
	    m, wf_trace_intern(&side->stacks, gen, pcs, n * (uint32_t)sizeof(pcs[0]))));
	if (s != NULL) {
		remember(s, fp, hi);
		s->n_walked = (uint16_t)n;
		s->id = id;
	}
	return id;
}

WF_NOINLINE WALKS struct trace_packed
wf_event_stack(struct m *m, uint32_t gen, uintptr_t fp)
{
	struct trace_block *b = m->trace.side[gen % 2].seen;
	const struct g *g = m->gate.g;
	uintptr_t hi;

	if (g == NULL || fp < wf_load_relaxed(&g->stack_lo))
		return TRACE_PACKED_ZERO;
	hi = wf_load_relaxed(&g->stack_hi);
	if (fp > hi - sizeof(struct frame))
		return TRACE_PACKED_ZERO;
	if (wf_likely(b != NULL)) {
		struct memory *memory = (struct memory *)(void *)b->data;
		const struct seen *s = (const struct seen *)(const void *)(
		    (const char *)memory->seen + *guess_of(memory, g, fp) * GUESS_UNIT);

		if (wf_likely(s->id.bytes != 0 && is_same(s, fp, hi))) {
			WF_ASSERT(is_walked(s, fp, hi));
			return s->id;
		}
	}
	return look_up(m, gen, fp, hi);
}
