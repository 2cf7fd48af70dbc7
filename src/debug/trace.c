/*
 * The calls of <weft/trace.h>.
 */
#include <weft/trace.h>
#include "debug/out.h"
#include "debug/tracer.h"
#include "os/os.h"
#include "sched/hooks.h"
#include "sched/sched.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The thread waits, not just the goroutine: outside, so that its P may be taken meanwhile. */
static WF_PARKS int
call(const struct tracer_call *c)
{
	int r;

	(void)wf_enter();
	wf_blocking_begin();
	r = wf_tracer_call(c);
	wf_blocking_end();
	wf_leave();
	return r;
}

WF_PARKS int
wf_trace_start_after(int fd, const char *head, size_t n)
{
	return call(&(struct tracer_call){
	    .want = TRACER_START, .fd = fd, .head = head, .head_bytes = n });
}

WF_API_PARKS int
weft_trace_start(int fd)
{
	return wf_trace_start_after(fd, NULL, 0);
}

WF_API_PARKS int
weft_trace_stop(void)
{
	return call(&(struct tracer_call){ .want = TRACER_STOP });
}

WF_API_PARKS int
weft_trace_flight_start(int64_t ns, size_t bytes)
{
	return call(&(struct tracer_call){
	    .want = TRACER_FLIGHT_START, .ns = ns, .bytes = bytes });
}

WF_API_PARKS int
weft_trace_flight_stop(void)
{
	return call(&(struct tracer_call){ .want = TRACER_FLIGHT_STOP });
}

WF_API_PARKS int
weft_trace_flight_dump(int fd)
{
	return call(&(struct tracer_call){ .want = TRACER_FLIGHT_DUMP, .fd = fd });
}

int
weft_trace_is_on(void)
{
	return wf_load_relaxed(&wf_trace.gen) != 0;
}

/* Numbers of tasks; relaxed: they only differ. */
static _Atomic uint64_t last_task;

/* Not in the gate while nobody listens. */
static void
say(enum wf_event_user what, uint64_t task, uint64_t parent, const char *a, const char *b)
{
	struct m *m;

	if (wf_likely(wf_load_relaxed(&wf_trace.gen) == 0))
		return;
	m = wf_enter();
	WF_EVENT(user, m, what, task, parent, a, b);
	wf_leave();
}

uint64_t
weft_trace_task_begin(const char *name, uint64_t parent)
{
	uint64_t task = wf_add_relaxed(&last_task, 1) + 1;

	say(USER_TASK_BEGIN, task, parent, NULL, name);
	return task;
}

void
weft_trace_task_end(uint64_t task)
{
	say(USER_TASK_END, task, 0, NULL, NULL);
}

void
weft_trace_region_begin(uint64_t task, const char *name)
{
	say(USER_REGION_BEGIN, task, 0, NULL, name);
}

void
weft_trace_region_end(uint64_t task, const char *name)
{
	say(USER_REGION_END, task, 0, NULL, name);
}

void
weft_trace_log(uint64_t task, const char *key, const char *text)
{
	say(USER_LOG, task, 0, key, text);
}

/* ---- WEFT_TRACE and WEFT_FLIGHT ---- */

#define PATH_BYTES 4096

static void
complain(const char *variable, const char *path, int error)
{
	struct wf_out o;

	wf_out_init(&o, 2);
	wf_out_str(&o, "weft: ");
	wf_out_str(&o, variable);
	wf_out_str(&o, "=");
	wf_out_str(&o, path);
	wf_out_str(&o, ": ");
	wf_out_str(&o, strerror(-error));
	wf_out_str(&o, "\n");
	wf_out_flush(&o);
}

/*
 * The file that the variable names; %p in it is the process's id. False: it is not set, or longer
 * than any name, which is told: a part of it would be another file.
 */
static bool
path_from_env(const char *variable, char *path)
{
	const char *s = wf_os_getenv(variable), *p;
	int n;

	if (s == NULL || *s == '\0')
		return false;
	p = strstr(s, "%p");
	if (p != NULL)
		n = snprintf(path, PATH_BYTES, "%.*s%d%s", (int)(p - s), s, wf_os_pid(), p + 2);
	else
		n = snprintf(path, PATH_BYTES, "%s", s);
	if (n < 0 || n >= PATH_BYTES) {
		complain(variable, s, -ENAMETOOLONG);
		return false;
	}
	return true;
}

static void
on_signal(int sig, siginfo_t *info, void *uctx)
{
	(void)sig;
	(void)info;
	(void)uctx;
	wf_tracer_flight_signal();
}

void
wf_trace_init(void)
{
	char path[PATH_BYTES];
	struct sigaction old;
	int r;

	if (path_from_env("WEFT_TRACE", path)) {
		int fd = wf_os_create(path, 0644);

		r = fd < 0 ? fd : wf_tracer_call(
		    &(struct tracer_call){ .want = TRACER_START, .fd = fd });
		if (fd >= 0)
			(void)wf_os_close(fd);
		if (r < 0)
			complain("WEFT_TRACE", path, r);
	}
	if (path_from_env("WEFT_FLIGHT", path)) {
		wf_tracer_flight_file(path);
		r = wf_tracer_call(&(struct tracer_call){ .want = TRACER_FLIGHT_START });
		if (r < 0)
			complain("WEFT_FLIGHT", path, r);
		else if (wf_os_sigaction_get(SIGUSR2, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)wf_os_sigaction(SIGUSR2, on_signal, NULL);
	}
}
