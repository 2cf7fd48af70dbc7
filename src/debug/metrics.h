/*
 * Figures as their writers see them: prometheus.c, http.c.
 */
#ifndef WEFT_DEBUG_METRICS_H
#define WEFT_DEBUG_METRICS_H

#include <weft/metrics.h>
#include "debug/out.h"

#define WF_METRICS_MAX 40	/* there are fewer */

/* As the public functions, from any thread, also one of no goroutine, once weft has begun. */
size_t wf_metrics_read(weft_metric *m, size_t n);
void wf_metrics_latency(weft_histogram *ret);
/* In the form of Prometheus. Takes no lock of the scheduler for long, parks nobody. */
void wf_metrics_print(struct wf_out *o);

#endif /* WEFT_DEBUG_METRICS_H */
