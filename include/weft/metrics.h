/*
 * Figures about the runtime: how many goroutines, how long they wait to run, what was stolen,
 * handed over, polled. Always on: they cost nothing that can be measured.
 */
#ifndef WEFT_METRICS_H
#define WEFT_METRICS_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

enum {
	WEFT_METRIC_GAUGE = 1,		/* goes up and down */
	WEFT_METRIC_COUNTER,		/* goes up only */
	WEFT_METRIC_TIME,		/* goes up only; nanoseconds, where the name says seconds */
};

typedef struct weft_metric {
	const char *name;	/* as in Go's runtime/metrics, "/sched/goroutines:goroutines";
				 * weft's own begin with "/weft/". Constant */
	const char *help;	/* a sentence. Constant */
	int kind;
	uint64_t value;
} weft_metric;

#define WEFT_LATENCY_BUCKETS 114

/* How many waits there were in each span of time; below[i] is where the i-th ends, in ns. */
typedef struct weft_histogram {
	uint64_t count[WEFT_LATENCY_BUCKETS];
	int64_t below[WEFT_LATENCY_BUCKETS];	/* the last: INT64_MAX */
	uint64_t total;				/* of count */
	int64_t sum_ns;				/* of all waits */
} weft_histogram;

/**
 * weft_metrics_read - all figures that are numbers
 *
 * Fills the first of @m[0..@n), always in the same order. They are read one after the other while
 * others run: sums are exact when nothing moves. Goroutines are counted by looking at each, about
 * a millisecond for 100,000. Does not block.
 *
 * Returns how many figures there are; more than @n: the rest was left out. @m may be NULL if @n
 * is 0.
 */
WEFT_API size_t weft_metrics_read(weft_metric *m, size_t n);

/**
 * weft_metrics_latency - how long goroutines waited to run after they had been made ready
 *
 * From samples: at most one per processor every 20 us to 10 ms, as Go's "/sched/latencies:seconds".
 */
WEFT_API void weft_metrics_latency(weft_histogram *ret);

/**
 * weft_metrics_write - write all figures to @fd in the text form of Prometheus
 *
 * Names of Go's figures are those of Prometheus' client for Go ("go_sched_goroutines_goroutines"),
 * so that dashboards for Go work; weft's own begin with "weft_". Blocks the thread while @fd is
 * full.
 *
 * Returns 0, or -EIO when @fd could not be written.
 */
WEFT_API int weft_metrics_write(int fd);

WEFT_END_DECLS

#endif /* WEFT_METRICS_H */
