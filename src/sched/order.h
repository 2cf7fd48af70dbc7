/*
 * A random order that meets each of n things once: a random start, and a step that has no divisor
 * in common with n. For thieves, so that they do not all go the same way. Go: randomOrder.
 */
#ifndef WEFT_SCHED_ORDER_H
#define WEFT_SCHED_ORDER_H

#include "base/compiler.h"

struct order {
	uint32_t n;
	uint32_t at;	/* the next to be met */
	uint32_t step;
	uint32_t left;
};

static inline uint32_t
order_gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* n >= 1; start and step are any numbers: the nearest that will do are taken. */
static inline struct order
order_of(uint32_t n, uint32_t start, uint32_t step)
{
	struct order o = { n, start % n, 1 + step % n, n };

	while (order_gcd(o.step, n) != 1)
		o.step = o.step % n + 1;
	return o;
}

/* The next of 0..n-1, into *ret. False: all were there. */
static inline bool
order_next(struct order *o, uint32_t *ret)
{
	if (o->left == 0)
		return false;
	o->left--;
	*ret = o->at;
	o->at = (o->at + o->step) % o->n;
	return true;
}

#endif /* WEFT_SCHED_ORDER_H */
