/*
 * What the trace knows of a goroutine or a P, in one word, so that it can be claimed by one
 * instruction. README.md, "Who says what of whom".
 *
 *	63    41  40  39   17 16   3 2   0
 *	   gen   told   seq     m   state
 */
#ifndef WEFT_TRACE_WORD_H
#define WEFT_TRACE_WORD_H

#include "base/compiler.h"

#define TRACE_GEN_BITS 23
#define TRACE_SEQ_BITS 23
#define TRACE_M_BITS 14
#define TRACE_GEN_MASK ((1u << TRACE_GEN_BITS) - 1)
#define TRACE_SEQ_MAX ((1u << TRACE_SEQ_BITS) - 1)
#define TRACE_M_MASK ((1u << TRACE_M_BITS) - 1)

/* The labels of a goroutine were told in that generation. */
#define TRACE_TOLD ((uint64_t)1 << (TRACE_SEQ_BITS + TRACE_M_BITS + 3))

#define TRACE_GONE 7u		/* a state: it has ended; its memory may be another's by now */

struct trace_word {
	uint32_t gen;		/* generation that spoke of it last, cut to its bits */
	uint32_t seq;		/* of its last event in there; 0 = its status */
	uint32_t m;		/* id of the M it is on, where the state has one, cut to its bits */
	uint32_t state;		/* enum trace_g or trace_p; 0 = nothing is known */
};

static inline uint64_t
trace_word_pack(struct trace_word w)
{
	return (uint64_t)(w.gen & TRACE_GEN_MASK) << (TRACE_SEQ_BITS + TRACE_M_BITS + 4) |
	    (uint64_t)w.seq << (TRACE_M_BITS + 3) | (uint64_t)(w.m & TRACE_M_MASK) << 3 | w.state;
}

static inline struct trace_word
trace_word_unpack(uint64_t v)
{
	return (struct trace_word){
		.gen = (uint32_t)(v >> (TRACE_SEQ_BITS + TRACE_M_BITS + 4)),
		.seq = (uint32_t)(v >> (TRACE_M_BITS + 3)) & TRACE_SEQ_MAX,
		.m = (uint32_t)(v >> 3) & TRACE_M_MASK,
		.state = (uint32_t)(v & 7),
	};
}

/* The same generation and number, another state. */
static inline uint64_t
trace_word_with(uint64_t v, uint32_t state, uint32_t m)
{
	uint64_t low = ((uint64_t)1 << (TRACE_M_BITS + 3)) - 1;

	return (v & ~low) | (uint64_t)(m & TRACE_M_MASK) << 3 | state;
}

/* The number of its last event is one more. */
static inline uint64_t
trace_word_next(uint64_t v)
{
	return v + ((uint64_t)1 << (TRACE_M_BITS + 3));
}

_Static_assert(TRACE_GEN_BITS + 1 + TRACE_SEQ_BITS + TRACE_M_BITS + 3 == 64, "it is one word");

#endif /* WEFT_TRACE_WORD_H */
