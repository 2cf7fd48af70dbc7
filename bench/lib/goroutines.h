/*
 * For servers measured with weft: a goroutine a connection.
 */
#ifndef WEFT_BENCH_GOROUTINES_H
#define WEFT_BENCH_GOROUTINES_H

#include <weft.h>

#include "lib/harness.h"

struct bench_goroutines {
	int listener;
	void (*serve)(void *fd);	/* a pointer to the connection's descriptor */
};

static inline void
bench_accept_all(void *arg)
{
	struct bench_goroutines *s = arg;
	int fd;

	while ((fd = weft_accept(s->listener, NULL, NULL, WEFT_FOREVER)) >= 0) {
		weft_go_options o = {sizeof(o), .copy = &fd, .copy_size = sizeof(fd)};

		BENCH_CHECK(weft_go_with(&o, s->serve, NULL) == 0);
	}
}

/* Returns at once. */
static inline void
bench_serve_by_goroutines(int listener, void (*serve)(void *fd))
{
	struct bench_goroutines s = {listener, serve};
	weft_go_options o = {sizeof(o), .copy = &s, .copy_size = sizeof(s)};

	BENCH_CHECK(weft_go_with(&o, bench_accept_all, NULL) == 0);
}

#endif /* WEFT_BENCH_GOROUTINES_H */
