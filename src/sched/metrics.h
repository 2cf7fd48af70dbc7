/*
 * What the scheduler counts for weft_metrics_read(). Per P and by plain stores of its owner, on
 * lines that nobody else writes; what happens without a P, or rarely, in one place. Reading adds
 * up.
 *
 * How long goroutines wait to run is sampled, because to look at the clock costs more than to
 * switch: each P takes the first goroutine that it makes ready after the monitor's clock has moved
 * on, so up to one every 20 us while much happens, and one every 10 ms else.
 */
#ifndef WEFT_SCHED_METRICS_H
#define WEFT_SCHED_METRICS_H

#include "base/atomic.h"
#include "base/compiler.h"

/*
 * Buckets by size: four to each doubling from 512 ns to 137 s, one below, one above.
 */
#define WF_LATENCY_MIN_BIT 9u
#define WF_LATENCY_DOUBLINGS 28u
#define WF_LATENCY_BUCKETS (4 * WF_LATENCY_DOUBLINGS + 2)

/* Letters as in sched.h. */
struct p_metrics {
	_Alignas(WF_CACHELINE) int64_t sampled_at;	/* o  the coarse time of the last sample */
	_Atomic uint64_t n_polls;			/* w  looks at the poller */
	_Atomic uint64_t n_futile;			/* w  woken, or spun, and found nothing */
	_Atomic uint64_t n_overflows;			/* w  of the ring */
	_Atomic int64_t latency_sum;			/* w  ns */
	_Atomic uint64_t latency[WF_LATENCY_BUCKETS];	/* w */
};

/* Adds one to a counter that only the caller writes. */
static inline void
metrics_count(_Atomic uint64_t *n)
{
#ifndef WF_SMALL	/* a model that tries all interleavings need not try these */
	wf_store_relaxed(n, wf_load_relaxed(n) + 1);
#else
	(void)n;
#endif
}

/* The same for one that many write, now and then. */
static inline void
metrics_add(_Atomic uint64_t *n)
{
#ifndef WF_SMALL
	(void)wf_add_relaxed(n, 1);
#else
	(void)n;
#endif
}

/* The bucket that ns belongs to. */
static inline unsigned
metrics_bucket(int64_t ns)
{
	uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
	unsigned bit;

	if (v >> WF_LATENCY_MIN_BIT == 0)
		return 0;
	bit = 63u - (unsigned)__builtin_clzll(v);
	if (bit >= WF_LATENCY_MIN_BIT + WF_LATENCY_DOUBLINGS)
		return WF_LATENCY_BUCKETS - 1;
	return 1 + 4 * (bit - WF_LATENCY_MIN_BIT) + (unsigned)(v >> (bit - 2) & 3);
}

/* What is in bucket i is below so many ns; INT64_MAX for the last. */
static inline int64_t
metrics_bound(unsigned i)
{
	if (i >= WF_LATENCY_BUCKETS - 1)
		return INT64_MAX;
	return (int64_t)(4 + i % 4) << (WF_LATENCY_MIN_BIT - 2 + i / 4);
}

#endif /* WEFT_SCHED_METRICS_H */
