/*
 * What is left of some buffers when the first bytes are done.
 */
#include "io/io.h"

void
wf_io_advance(struct io_vec *at, size_t bytes)
{
	at->done += bytes;
	bytes += at->skip;
	while (at->n > 0 && bytes >= at->v->iov_len) {
		bytes -= at->v->iov_len;
		at->v++;
		at->n--;
	}
	at->skip = bytes;
}

int
wf_io_window(const struct io_vec *at, struct iovec *window, size_t max, int n_max)
{
	size_t skip = at->skip;
	int n = 0;

	for (int i = 0; i < at->n && n < n_max && max > 0; i++) {
		size_t len = wf_min(at->v[i].iov_len - skip, max);

		window[n++] = (struct iovec){(char *)at->v[i].iov_base + skip, len};
		max -= len;
		skip = 0;
	}
	return n;
}
