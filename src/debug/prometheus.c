/*
 * Figures in the text form of Prometheus (version 0.0.4). Go's names become those that Prometheus'
 * client for Go gives them: "/sched/goroutines:goroutines" is "go_sched_goroutines_goroutines",
 * counters end in "_total". weft's own begin with "weft_" instead of "go_weft_".
 */
#include "debug/metrics.h"

#include <string.h>

static void
print_name(struct wf_out *o, const weft_metric *m)
{
	const char *name = m->name + 1;

	if (strncmp(name, "weft/", 5) != 0)
		wf_out_str(o, "go_");
	for (; *name != '\0'; name++) {
		bool plain = (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9');

		wf_out_mem(o, plain ? name : "_", 1);
	}
	if (m->kind == WEFT_METRIC_COUNTER || m->kind == WEFT_METRIC_TIME)
		wf_out_str(o, "_total");
}

static void
print_head(struct wf_out *o, const weft_metric *m, const char *type)
{
	wf_out_str(o, "# HELP ");
	print_name(o, m);
	wf_out_str(o, " ");
	wf_out_str(o, m->help);
	wf_out_str(o, "\n# TYPE ");
	print_name(o, m);
	wf_out_str(o, " ");
	wf_out_str(o, type);
	wf_out_str(o, "\n");
}

static void
print_latency(struct wf_out *o)
{
	static const weft_metric name = {"/sched/latencies:seconds",
	    "How long goroutines waited to run after they had been made ready; sampled.", 0, 0};
	weft_histogram h;
	uint64_t sum = 0;

	wf_metrics_latency(&h);
	print_head(o, &name, "histogram");
	for (size_t i = 0; i < WEFT_LATENCY_BUCKETS; i++) {
		sum += h.count[i];
		print_name(o, &name);
		wf_out_str(o, "_bucket{le=\"");
		if (h.below[i] == INT64_MAX)
			wf_out_str(o, "+Inf");
		else
			wf_out_seconds(o, (uint64_t)h.below[i]);
		wf_out_str(o, "\"} ");
		wf_out_u64(o, sum);
		wf_out_str(o, "\n");
	}
	print_name(o, &name);
	wf_out_str(o, "_sum ");
	wf_out_seconds(o, (uint64_t)wf_max(h.sum_ns, (int64_t)0));
	wf_out_str(o, "\n");
	print_name(o, &name);
	wf_out_str(o, "_count ");
	wf_out_u64(o, sum);
	wf_out_str(o, "\n");
}

void
wf_metrics_print(struct wf_out *o)
{
	weft_metric m[WF_METRICS_MAX];
	size_t n = wf_min(wf_metrics_read(m, WF_METRICS_MAX), (size_t)WF_METRICS_MAX);

	for (size_t i = 0; i < n; i++) {
		print_head(o, &m[i], m[i].kind == WEFT_METRIC_GAUGE ? "gauge" : "counter");
		print_name(o, &m[i]);
		wf_out_str(o, " ");
		if (m[i].kind == WEFT_METRIC_TIME)
			wf_out_seconds(o, m[i].value);
		else
			wf_out_u64(o, m[i].value);
		wf_out_str(o, "\n");
	}
	print_latency(o);
}
