/*
 * For libFuzzer: the reader of traces behind `weft trace convert`, and both writers. Traces to
 * begin with are those of build/debug/test/trace/load. Of the corpus, "waits" is made to be slow:
 * 300 threads wait for what another one does last, after 6,000 events.
 *
 * runs=300
 * fuzz: -D_GNU_SOURCE tools/weft/trace_chrome.c tools/weft/trace_file.c
 * fuzz: tools/weft/trace_order.c tools/weft/trace_proc.c
 * fuzz: tools/weft/trace_pprof.c tools/weft/trace_state.c tools/weft/idmap.c tools/weft/json.c
 */
#include "trace_convert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
	const uint8_t *data;
	size_t n;
};

static void
check_inside(const struct seen *seen, struct trace_text t)
{
	const uint8_t *s = (const uint8_t *)t.s;

	if (t.n != 0 && (s < seen->data || t.n > (size_t)(seen->data + seen->n - s)))
		abort();
}

static void
on_span(void *arg, const struct trace_span *s)
{
	struct seen *seen = arg;

	if (s->from > s->to || s->state < TG_RUNNABLE || s->state > TG_WAITING)
		abort();
	check_inside(seen, s->reason);
	check_inside(seen, s->function);
	for (size_t i = 0; i < s->stack->n; i++)
		check_inside(seen, s->stack->frames[i].function);
}

static void
on_mark(void *arg, const struct trace_mark *m)
{
	check_inside(arg, m->name);
	check_inside(arg, m->text);
}

static void
on_goroutine(void *arg, uint64_t g, struct trace_text function)
{
	(void)g;
	check_inside(arg, function);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct seen seen = { .data = data, .n = n };
	const struct trace_sink sink = { &seen, on_span, on_mark, on_goroutine };
	struct trace_input in = { .data = data, .n = n };
	struct trace_error error;
	FILE *out;

	if (!trace_read(data, n, &sink, &in.bounds, &error)) {
		if (error.what[0] == '\0' || error.at > n)
			abort();
		return 0;
	}
	if (in.bounds.from > in.bounds.to)
		abort();
	/* An event is two bytes or more, and tried a few times: not once for each other event. */
	if (in.bounds.tries > 8 * n)
		abort();
	/* What has been read once is read again. */
	out = fopen("/dev/null", "we");
	if (out == NULL || !trace_to_chrome(&in, out, &error) ||
	    !trace_to_pprof(&in, ONLY_ALL, out, &error))
		abort();
	(void)fclose(out);
	return 0;
}
