/*
 * Waiting for a child, and killing it: README.md, "Waiting" W1-W4.
 */
#include "process/process.h"

#include "io/io.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#define NS_PER_MS INT64_C(1000000)

/* W1. The record of the pidfd, entered, so that the number stays ours; or NULL: it is reaped. */
WF_PARKS static struct pd *
hold_pidfd(struct weft_process *p)
{
	struct pd *pd = NULL;

	wf_lock(&p->lock);
	/* Cannot fail or wait: see reserve_pidfd(); who closes it takes it out of p first. */
	if (!p->is_reaped && wf_pd_get(p->pidfd, &pd) == 0 &&
	    wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER) < 0)
		pd = NULL;
	wf_unlock(&p->lock);
	return pd;
}

/* W3. Takes the status if it has ended and nobody has taken it yet. */
WF_PARKS static void
reap(struct weft_process *p)
{
	struct wf_os_exit e;
	int r, fd = -1;

	wf_lock(&p->lock);
	if (!p->is_reaped && (r = wf_os_wait_pidfd(p->pidfd, &e)) != -EAGAIN) {
		p->error = r;
		if (r == 0)
			p->exit = (weft_exit){.code = e.code, .signal = e.signal,
			    .dumped = e.dumped, .user_ns = e.user_ns, .system_ns = e.system_ns,
			    .max_rss = e.max_rss};
		p->is_reaped = true;
		fd = p->pidfd;
		p->pidfd = -1;
	}
	wf_unlock(&p->lock);
	if (fd >= 0)
		(void)wf_io_close(fd);					/* W4 */
}

/* Until it has ended, or for ns if that is not negative. Blocks the thread. */
WF_PARKS static void
await_end(struct weft_process *p, int64_t ns)
{
	struct pd *pd = hold_pidfd(p);
	int64_t ms = ns < 0 ? -1 : wf_min(ns / NS_PER_MS + 1, (int64_t)INT32_MAX);

	if (pd == NULL)
		return;
	wf_blocking_begin();
	(void)wf_os_poll_wait(pd_number(pd), POLLIN, (int)ms);
	wf_blocking_end();
	wf_pd_leave(pd, PD_OTHER);
}

static int
kill_it(struct weft_process *p, int signo)
{
	int r = -ESRCH;

	/* Under the lock: while it is not reaped its number, and that of its group, are its own. */
	wf_lock(&p->lock);
	if (!p->is_reaped)
		r = p->has_group ? wf_os_kill_group(p->pid, signo)
				 : wf_os_kill_pidfd(p->pidfd, signo);
	wf_unlock(&p->lock);
	return r;
}

WF_PARKS void
wf_process_end(struct weft_process *p, int signo, int64_t delay)
{
	if (signo != SIGKILL) {
		(void)kill_it(p, signo);
		await_end(p, delay > 0 ? delay : -1);
	}
	/* Also when it has gone by the first signal: others of its group may not have. */
	(void)kill_it(p, SIGKILL);
	await_end(p, -1);
	reap(p);
}

/* Is it over? Then how it ended, and *ret_error: that somebody else knows. */
static bool
is_over(struct weft_process *p, weft_exit *ret, int *ret_error)
{
	bool over;

	wf_lock(&p->lock);
	over = p->is_reaped;
	*ret_error = p->error;
	if (over && p->error == 0 && ret != NULL)
		*ret = p->exit;
	wf_unlock(&p->lock);
	return over;
}

WF_PARKS static int
wait_for(struct weft_process *p, weft_exit *ret, int64_t deadline)
{
	int r = 0, error;

	while (!is_over(p, ret, &error)) {
		struct pd *pd = hold_pidfd(p);				/* W1 */

		if (pd == NULL)
			continue;
		r = wf_pd_poll(pd, POLLIN, deadline);			/* W2 */
		wf_pd_leave(pd, PD_OTHER);
		if (r == -ECANCELED)
			wf_process_end(p, p->kill_signal, p->kill_delay);
		else if (r < 0 && r != -EBADF)
			return r;
		else
			reap(p);					/* W3 */
	}
	return r == -ECANCELED ? r : error;
}

WF_API_PARKS int
weft_wait(weft_process *p, weft_exit *ret, int64_t deadline)
{
	int r;

	(void)wf_enter();
	r = wait_for(p, ret, deadline);
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_process_kill(weft_process *p, int signo)
{
	int r;

	(void)wf_enter();
	r = kill_it(p, signo);
	wf_leave();
	return r;
}

pid_t
weft_process_pid(const weft_process *p)
{
	return p->pid;
}

int
weft_process_stdio(weft_process *p, int n)
{
	int fd;

	if (n < 0 || n > 2)
		return -EBADF;
	(void)wf_enter();
	wf_lock(&p->lock);
	fd = p->pipes[n];
	p->pipes[n] = -1;
	wf_unlock(&p->lock);
	wf_leave();
	return fd < 0 ? -EBADF : fd;
}

WF_API_PARKS void
weft_process_free(weft_process *p)
{
	if (p == NULL)
		return;
	(void)wf_enter();
	wf_process_end(p, SIGKILL, 0);
	for (int n = 0; n < 3; n++)
		if (p->pipes[n] >= 0)
			(void)wf_io_close(p->pipes[n]);
	wf_leave();
	free(p);
}
