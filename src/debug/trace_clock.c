/*
 * How fast the processor's counter goes. See trace_clock.h.
 */
#include "debug/trace_clock.h"

#include "os/os.h"
#include "trace/trace.h"

#define TRIES 8
/*
 * Both clocks are read within some 30 ns of each other, twice: the rate is right to 30 ppm. Nobody
 * compares the trace with another clock so closely, and within it all times are by the same rate.
 */
#define MEASURE_NS ((int64_t)2000000)

/* One moment by both clocks: of several, the one where least time passed in between. */
static void
look(int64_t *ret_ticks, int64_t *ret_ns)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = wf_ticks(), ns = wf_os_now(), after = wf_ticks();

		if (after - before >= best)
			continue;
		best = after - before;
		*ret_ticks = before + best / 2;
		*ret_ns = ns;
	}
}

void
wf_trace_clock_start(void)
{
	static _Atomic uint32_t never;
	struct trace_clock *c = &wf_trace.clock;
	int64_t ticks = 0, ns = 0, later_ticks = 0, later = 0;

	/* The kernel may have found out since the session before that the counter is no clock. */
	if (!wf_os_has_ticks()) {
		c->rate = 0;
		return;
	}
	look(&ticks, &ns);
	if (c->rate == 0) {
		while (wf_os_now() < ns + MEASURE_NS)
			(void)wf_os_futex_wait(&never, 0, ns + MEASURE_NS);
		look(&later_ticks, &later);
		if (later_ticks > ticks)
			c->rate = (uint64_t)((double)(later - ns) / (double)(later_ticks - ticks) *
			    4294967296.0);
	}
	c->base = 0;
	c->base = ns - trace_time_of(ticks);
}
