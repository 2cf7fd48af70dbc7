/*
 * What the flight recorder keeps. See trace_kept.h.
 */
#include "debug/trace_kept.h"

#include "debug/out.h"

#include <stdlib.h>

static void
forget_oldest(struct trace_kept *k)
{
	struct trace_out *o = k->oldest;

	k->oldest = o->next;
	if (k->oldest == NULL)
		k->newest = NULL;
	k->bytes -= o->n;
	wf_trace_out_free(o);
	free(o);
}

void
wf_trace_kept_add(struct trace_kept *k, struct trace_out *bytes)
{
	struct trace_out *o = malloc(sizeof(*o));

	if (o == NULL) {
		wf_trace_out_free(bytes);
		return;
	}
	*o = *bytes;
	o->next = NULL;
	if (k->newest != NULL)
		k->newest->next = o;
	else
		k->oldest = o;
	k->newest = o;
	k->bytes += o->n;
	while (k->oldest != k->newest &&
	    (k->bytes > k->max_bytes || k->oldest->next->at < o->at - k->max_ns))
		forget_oldest(k);
}

void
wf_trace_kept_drop(struct trace_kept *k)
{
	while (k->oldest != NULL)
		forget_oldest(k);
}

int
wf_trace_kept_write(const struct trace_kept *k, int fd)
{
	int r = wf_out_all(fd, TRACE_HEADER, TRACE_HEADER_BYTES);

	for (const struct trace_out *o = k->oldest; o != NULL && r == 0; o = o->next)
		r = wf_out_all(fd, o->data, o->n);
	return r;
}
