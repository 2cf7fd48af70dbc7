/*
 * What the tests in simulated time share.
 */
#ifndef WEFT_TEST_SIM_SIM_UTIL_H
#define WEFT_TEST_SIM_SIM_UTIL_H

#include <weft/sim.h>

#include "test.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * fn under that many seeds. tools/nightly: WEFT_SIM_SEEDS of them; WEFT_SIM_SEED: that one again.
 */
static inline void
run_seeds(const weft_sim_options *o, void (*fn)(void *), uint64_t seeds)
{
	const char *one = getenv("WEFT_SIM_SEED"), *many = getenv("WEFT_SIM_SEEDS");
	uint64_t first = one != NULL ? strtoull(one, NULL, 0) : 1;
	uint64_t n = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 0) : seeds;

	for (uint64_t seed = first; seed < first + n; seed++)
		if (weft_sim_run_with(o, seed, fn, NULL, NULL) != 0)
			FAIL("WEFT_SIM_SEED=%" PRIu64, seed);
}

#endif /* WEFT_TEST_SIM_SIM_UTIL_H */
