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
#define GUESSES 256u		/* a power of two */
#define CALLERS 6		/* innermost calls that tell where one is kept; four are ours */

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
	uint32_t id;			/* in the thread's table; 0 = nothing is here */
	uint32_t n;			/* frames looked at */
	uintptr_t depth;		/* from the first frame to the end of the stack */
	struct seen_frame frame[STACK_FRAMES + 1];
};

/* What a thread remembers in a generation. */
struct memory {
	uint8_t guess[GUESSES];		/* by goroutine and innermost call: which of these it was */
	struct seen seen[SEEN];		/* by their innermost calls */
};

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
			return;
	}
}

/* Link and return address of a frame, compared in one go. */
typedef uintptr_t pair __attribute__((vector_size(2 * sizeof(uintptr_t))));

/* Would a walk from fp find what is remembered there? Its first frames have a link to compare. */
static WALKS WF_ALWAYS_INLINE bool
is_same(const struct seen *s, uintptr_t fp, uintptr_t hi)
{
	const struct seen_frame *f = s->frame;
	uint32_t n = s->n - 1;
	pair base = { fp, 0 }, differ = { 0, 0 };

	if (s->depth != hi - fp)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		pair is, wanted;

		memcpy(&is, (const void *)(fp + f[i].at), sizeof(is));
		memcpy(&wanted, &f[i].link, sizeof(wanted));
		differ |= (is - base) ^ wanted;
	}
	if ((differ[0] | differ[1]) != 0)
		return false;
	if (n == STACK_FRAMES)
		return true;		/* it is cut before the last */
	fp += f[n].at;
	return frame_at(fp)->pc == f[n].pc &&
	    (f[n].pc == 0 || !leads_up(fp, frame_at(fp)->link, hi));
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

	for (uint32_t i = 0; i < n; i++)
		if (pcs[i] != s->frame[i].pc)
			return false;
	return n == STACK_FRAMES || s->n == n + (s->frame[s->n - 1].pc == 0);
}

static WALKS WF_ALWAYS_INLINE uint8_t *
guess_of(struct memory *memory, const struct g *g, uintptr_t fp)
{
	uint64_t h = (uint64_t)(uintptr_t)g + frame_at(fp)->pc;

	return &memory->guess[(h * 0x9e3779b97f4a7c15u >> 32) % GUESSES];
}

static WF_NOINLINE struct memory *
new_memory(struct trace_side *side, uint32_t gen)
{
	struct trace_block *b = wf_trace_block_new();
	struct memory *memory;

	if (b == NULL)
		return NULL;
	b->gen = gen;
	side->seen = b;
	memory = (struct memory *)(void *)b->data;
	memset(memory->guess, 0, sizeof(memory->guess));
	for (uint32_t i = 0; i < SEEN; i++)
		memory->seen[i].id = 0;
	return memory;
}

/* Not where the guess said: it is kept elsewhere, or walked. */
static WF_NOINLINE WALKS uint32_t
look_up(struct event_writer *w, struct memory *memory, const struct g *g, uintptr_t fp,
    uintptr_t hi)
{
	struct trace_side *side = &w->t->side[w->gen % 2];
	uintptr_t pcs[STACK_FRAMES];
	struct seen *s = NULL;
	uint32_t n, place;

	if (memory == NULL)
		memory = new_memory(side, w->gen);
	if (memory != NULL) {
		place = place_of(fp, hi);
		*guess_of(memory, g, fp) = (uint8_t)place;
		s = &memory->seen[place];
		if (s->id != 0 && is_same(s, fp, hi))
			return s->id;
	}
	n = walk(fp, hi, pcs, STACK_FRAMES);
	if (n == 0)
		return 0;
	n = wf_trace_intern(&side->stacks, w->gen, pcs, n * (uint32_t)sizeof(pcs[0]));
	if (s != NULL) {
		remember(s, fp, hi);
		s->id = n;
	}
	return n;
}

WF_NOINLINE WALKS uint64_t
wf_event_stack(struct event_writer *w, struct m *m)
{
	struct trace_block *b = w->t->side[w->gen % 2].seen;
	const struct g *g = m->gate.g;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), fp, hi;
	struct memory *memory = NULL;
	const struct seen *s;

	if (g == NULL || here < wf_load_relaxed(&g->stack_lo))
		return 0;
	hi = wf_load_relaxed(&g->stack_hi);
	if (here > hi - sizeof(struct frame) || !leads_up(here, frame_at(here)->link, hi))
		return 0;
	fp = frame_at(here)->link;
	if (wf_likely(b != NULL)) {
		memory = (struct memory *)(void *)b->data;
		s = &memory->seen[*guess_of(memory, g, fp)];
		if (wf_likely(s->id != 0 && is_same(s, fp, hi))) {
			WF_ASSERT(is_walked(s, fp, hi));
			return event_number(w, s->id);
		}
	}
	return event_number(w, look_up(w, memory, g, fp, hi));
}
