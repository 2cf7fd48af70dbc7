/*
 * The order in which select takes its locks: indices of cases, sorted by the address of what they
 * stand for. README.md, "Select", S3 and "Uniform". Looks at nothing but the addresses.
 */
#include "chan/ops.h"

/* Up to here insertion beats the heap: it has less to set up. */
#define INSERT_MAX 8

static inline uintptr_t
address_of(const weft_case *cases, uint32_t i)
{
	return (uintptr_t)cases[i].chan;
}

static void
sort_insert(uint32_t *order, uint32_t n, const weft_case *cases)
{
	for (uint32_t k = 1; k < n; k++) {
		uint32_t moved = order[k];
		uint32_t at = k;

		while (at > 0 && address_of(cases, order[at - 1]) > address_of(cases, moved)) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = moved;
	}
}

/* Lets order[at] sink to its place in the heap order[0..n), whose root is the highest address. */
static void
heap_sink(uint32_t *order, uint32_t at, uint32_t n, const weft_case *cases)
{
	uint32_t sinking = order[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n &&
		    address_of(cases, order[child + 1]) > address_of(cases, order[child]))
			child++;
		if (address_of(cases, order[child]) <= address_of(cases, sinking))
			break;
		order[at] = order[child];
		at = child;
	}
	order[at] = sinking;
}

/* In place, without recursion, n log n at worst. n is at most INT_MAX: 2 * at + 2 can't wrap. */
void
wf_select_sort(uint32_t *order, uint32_t n, const weft_case *cases)
{
	if (n <= INSERT_MAX) {
		sort_insert(order, n, cases);
		return;
	}
	for (uint32_t k = n / 2; k-- > 0;)
		heap_sink(order, k, n, cases);
	for (uint32_t k = n; k-- > 1;) {
		uint32_t highest = order[0];

		order[0] = order[k];
		order[k] = highest;
		heap_sink(order, 0, k, cases);
	}
}
