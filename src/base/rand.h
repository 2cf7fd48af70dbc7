/*
 * A small fast generator (xorshift64*, Marsaglia and Vigna) for choices that need
 * to be even, not secret: steal order, select order. State is the caller's.
 */
#ifndef WEFT_BASE_RAND_H
#define WEFT_BASE_RAND_H

#include <stdint.h>

struct wf_rand {
	uint64_t state;		/* never 0 */
};

static inline void
wf_rand_init(struct wf_rand *r, uint64_t seed)
{
	/* One round of splitmix64, so that small seeds differ in all bits. */
	uint64_t z = seed + 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	r->state = z ? z : 1;
}

static inline uint32_t
wf_rand_u32(struct wf_rand *r)
{
	uint64_t x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1du) >> 32);
}

/* Even in 0..n-1 (Lemire's multiplication; the bias is below n / 2^32). n > 0. */
static inline uint32_t
wf_rand_below(struct wf_rand *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)wf_rand_u32(r) * n) >> 32);
}

#endif /* WEFT_BASE_RAND_H */
