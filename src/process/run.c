/*
 * weft_run: a child, and a goroutine for each of its streams. Made of public calls only.
 */
#include "process/process.h"

#include <weft/go.h>
#include <weft/io.h>
#include <weft/scope.h>
#include <weft/time.h>

#include "sched/self.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)4096)

/* One stream of the child, and what has come or is to go. Its goroutine's until it has ended. */
struct stream {
	int fd;		/* or -1 */
	char *buf;
	size_t size, cap;
};

static int
collect(void *arg)
{
	struct stream *s = arg;
	bool was_cancelled = false;
	ssize_t r;

	for (;;) {
		if (s->size + 1 >= s->cap) {
			size_t cap = s->cap == 0 ? FIRST_BYTES : 2 * s->cap;
			char *buf = realloc(s->buf, cap);

			if (buf == NULL)
				return -ENOMEM;
			s->buf = buf;
			s->cap = cap;
		}
		r = weft_read(s->fd, s->buf + s->size, s->cap - s->size - 1, WEFT_FOREVER);
		/* What came before the cancellation, and was not noticed in time, is there now. */
		if (r == -ECANCELED && !was_cancelled) {
			was_cancelled = true;
			continue;
		}
		if (r <= 0)
			return (int)r;
		s->size += (size_t)r;
	}
}

static int
feed(void *arg)
{
	struct stream *s = arg;
	ssize_t r = weft_write(s->fd, s->buf, s->size, WEFT_FOREVER);

	(void)weft_close(s->fd);
	s->fd = -1;
	/* A child need not read all that it is given. */
	return r < 0 && r != -EPIPE ? (int)r : 0;
}

WF_PARKS static void
end(weft_process *p, int signo, int64_t delay)
{
	(void)wf_enter();
	wf_process_end(p, signo, delay);
	wf_leave();
}

/* Its status: 0, -ECHILD, or why it was killed first. */
WF_PARKS static int
await(weft_process *p, weft_exit *ret, int64_t deadline)
{
	int r = weft_wait(p, ret, deadline);

	if (r != -ETIMEDOUT)
		return r;
	end(p, p->kill_signal, p->kill_delay);
	(void)weft_wait(p, ret, WEFT_FOREVER);
	return -ETIMEDOUT;
}

/* It has ended by itself: until what it left to write has been read. */
static int
finish_streams(weft_scope *scope, int64_t wait_delay, int64_t deadline)
{
	int64_t until = wait_delay > 0 ? weft_in(wait_delay) : WEFT_FOREVER;
	int r = weft_scope_wait(scope, wf_min(until, deadline));

	return r == -ETIMEDOUT && until < deadline ? -EBUSY : r;
}

static int
attend(weft_process *p, weft_scope *scope, struct stream streams[3], const weft_spawn_options *o,
    weft_exit *ret, int64_t deadline)
{
	int r = 0, why = 0;

	for (int n = 0; n < 3 && r == 0; n++)
		if (streams[n].fd >= 0)
			r = weft_scope_go(scope, n == 0 ? feed : collect, &streams[n]);
	if (r == 0) {
		r = await(p, ret, deadline);
		return r == 0 ? finish_streams(scope, o->wait_delay, deadline) : r;
	}
	end(p, SIGKILL, 0);
	(void)weft_wait(p, ret, WEFT_FOREVER);
	if (r == -ECANCELED)	/* a stream may have failed before the next was begun: how? */
		why = weft_scope_wait(scope, WEFT_FOREVER);
	return why < 0 ? why : r;
}

static int
run(const char *const *argv, const weft_spawn_options *o, struct stream streams[3],
    weft_exit *ret, int64_t deadline)
{
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);
	weft_process *p;
	int r;

	if (scope == NULL)
		return -ENOMEM;
	r = weft_spawn(argv, o, &p);
	if (r == 0) {
		for (int n = 0; n < 3; n++)
			streams[n].fd = weft_process_stdio(p, n);
		r = attend(p, scope, streams, o, ret, deadline);
		weft_process_free(p);
	}
	/* Those that read on are cancelled, and notice it when nothing is left to read. */
	weft_scope_free(scope);
	for (int n = 0; n < 3; n++)
		if (streams[n].fd >= 0)
			(void)weft_close(streams[n].fd);
	return r;
}

static char *
text_of(struct stream *s, size_t *ret_size)
{
	if (s->buf != NULL)
		s->buf[s->size] = '\0';
	*ret_size = s->size;
	return s->buf;
}

WF_API_PARKS int
weft_run(const char *const *argv, const weft_spawn_options *o, weft_output *ret, int64_t deadline)
{
	weft_spawn_options all = {.size = sizeof(all), .in = WEFT_STDIO_NULL,
	    .out = WEFT_STDIO_PIPE, .err = WEFT_STDIO_PIPE};
	struct stream streams[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
	int r;

	if (o != NULL) {
		all = (weft_spawn_options){0};
		memcpy(&all, o, wf_min(o->size, sizeof(all)));
		all.size = sizeof(all);
		if (all.input != NULL || all.in == WEFT_STDIO_PIPE)
			all.in = WEFT_STDIO_PIPE;
	}
	streams[0].buf = (char *)(uintptr_t)all.input;	/* only read */
	streams[0].size = all.input_size;
	*ret = (weft_output){0};
	r = run(argv, &all, streams, &ret->exit, deadline);
	ret->out = text_of(&streams[1], &ret->out_size);
	ret->err = text_of(&streams[2], &ret->err_size);
	return r;
}

void
weft_output_free(weft_output *ret)
{
	free(ret->out);
	free(ret->err);
	*ret = (weft_output){0};
}
