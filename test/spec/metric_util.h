/*
 * One figure of <weft/metrics.h> by its name.
 */
#ifndef WEFT_TEST_SPEC_METRIC_UTIL_H
#define WEFT_TEST_SPEC_METRIC_UTIL_H

#include <weft.h>

#include "test.h"

#include <string.h>

static inline uint64_t
metric(const char *name)
{
	weft_metric m[64];
	size_t n = weft_metrics_read(m, 64);

	for (size_t i = 0; i < n && i < 64; i++)
		if (strcmp(m[i].name, name) == 0)
			return m[i].value;
	FAIL("no metric %s", name);
}

#endif /* WEFT_TEST_SPEC_METRIC_UTIL_H */
