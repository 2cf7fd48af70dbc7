/*
 * weft_spawn: what the child gets, and the pipes to it.
 */
#include "process/process.h"

#include "io/io.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define FDS_MAX 1024
#define SIGNAL_MAX 64

/* What is open for the time of the call only, or goes to the process if all goes well. */
struct plan {
	const weft_spawn_options *o;
	int *fds;		/* what becomes 0, 1, 2, ... */
	int theirs[3];		/* to close afterwards, or -1 */
	int ours[3];		/* or -1 */
};

static int
make_pipe(struct plan *p, int n)
{
	int ends[2], r = wf_os_pipe(ends), mine = n == 0 ? 1 : 0;

	if (r < 0)
		return r;
	p->ours[n] = ends[mine];
	p->theirs[n] = p->fds[n] = ends[!mine];
	/* Our end only: what the child has is none of our business. */
	return wf_os_set_nonblock(ends[mine], true);
}

static int
plan_stdio(struct plan *p, int n, int how)
{
	switch (how) {
	case WEFT_STDIO_INHERIT:
		p->fds[n] = wf_os_file_type(n) < 0 ? -1 : n;	/* what is closed stays closed */
		return 0;
	case WEFT_STDIO_NULL:
		p->theirs[n] = p->fds[n] = wf_os_open_null(/* writes */ n != 0);
		return p->fds[n] < 0 ? p->fds[n] : 0;
	case WEFT_STDIO_PIPE:
		return make_pipe(p, n);
	case WEFT_STDIO_OUT:
		p->fds[n] = p->fds[1];
		return n == 2 ? 0 : -EINVAL;
	default:
		p->fds[n] = how - 1;
		return how > 0 ? 0 : -EINVAL;
	}
}

static int
make_plan(struct plan *p)
{
	const weft_spawn_options *o = p->o;
	const int how[3] = {o->in, o->out, o->err};
	int r = 0;

	for (int n = 0; n < 3 && r == 0; n++)
		r = plan_stdio(p, n, how[n]);
	for (size_t i = 0; i < o->nfds; i++)
		p->fds[3 + i] = o->fds[i];
	return r;
}

static void
close_all(int fds[3])
{
	for (int n = 0; n < 3; n++)
		if (fds[n] >= 0)
			(void)wf_os_close(fds[n]);	/* nobody else knows the number */
}

/* Blocks the thread: the program may have to come from a disk. */
WF_PARKS static int
start(struct weft_process *pr, const struct plan *p, const char *const *argv)
{
	char path[PATH_BYTES];
	struct wf_os_spawn s = {
	    .path = path,
	    /* execve(2) was declared before const was; it changes neither. */
	    .argv = (char *const *)(uintptr_t)argv,
	    .env = p->o->env != NULL ? (char *const *)(uintptr_t)p->o->env : wf_os_environ(),
	    .dir = p->o->dir,
	    .fds = p->fds,
	    .nfds = 3 + (int)p->o->nfds,
	    .own_group = p->o->group,
	    .pidfd = pr->pidfd,
	};
	int r;

	wf_blocking_begin();
	r = wf_os_find_program(argv[0], p->o->dir, path, sizeof(path));
	if (r == 0)
		r = wf_os_spawn(&s, &pr->pid);
	wf_blocking_end();
	return r;
}

/*
 * The number that the pidfd will have, with all that hold_pidfd() needs of it: none of 0 to 2, a
 * record, and the number's last owner gone. What could fail does so before there is a child.
 */
WF_PARKS static int
reserve_pidfd(struct weft_process *pr)
{
	struct pd *pd;
	int r, fd = wf_os_open_null(/* writes */ false);

	if (fd < 0)
		return fd;
	r = wf_pd_get(fd, &pd);
	if (r < 0) {
		(void)wf_os_close(fd);
		return r;
	}
	wf_pd_adopt(fd, PD_HOW_UNKNOWN);
	wf_pd_settle(fd);
	pr->pidfd = fd;
	return 0;
}

WF_PARKS static int
spawn(struct weft_process *pr, const weft_spawn_options *o, const char *const *argv)
{
	struct plan p = {.o = o, .theirs = {-1, -1, -1}, .ours = {-1, -1, -1}};
	int r;

	p.fds = malloc((3 + o->nfds) * sizeof(int));
	if (p.fds == NULL)
		return -ENOMEM;
	r = make_plan(&p);
	if (r == 0)
		r = reserve_pidfd(pr);
	if (r == 0) {
		r = start(pr, &p, argv);
		if (r < 0)
			(void)wf_os_close(pr->pidfd);
	}
	close_all(p.theirs);
	free(p.fds);
	if (r < 0) {
		close_all(p.ours);
		return r;
	}
	for (int n = 0; n < 3; n++) {
		pr->pipes[n] = p.ours[n];
		if (p.ours[n] >= 0)
			wf_pd_adopt(p.ours[n], PD_HOW_NOWAIT);
	}
	return 0;
}

static bool
is_valid(const char *const *argv, const weft_spawn_options *o)
{
	if (argv == NULL || argv[0] == NULL)
		return false;
	return o->nfds <= FDS_MAX && (o->nfds == 0 || o->fds != NULL) && o->kill_signal >= 0 &&
	    o->kill_signal <= SIGNAL_MAX && o->kill_delay >= 0;
}

WF_API_PARKS int
weft_spawn(const char *const *argv, const weft_spawn_options *o, weft_process **ret)
{
	weft_spawn_options all = {.size = sizeof(all)};
	struct weft_process *pr;
	int r;

	/* Members that the caller's header did not have yet are zero. */
	if (o != NULL)
		memcpy(&all, o, wf_min(o->size, sizeof(all)));
	if (!is_valid(argv, &all))
		return -EINVAL;
	pr = calloc(1, sizeof(*pr));
	if (pr == NULL)
		return -ENOMEM;
	pr->has_group = all.group;
	pr->kill_signal = all.kill_signal != 0 ? all.kill_signal : SIGKILL;
	pr->kill_delay = all.kill_delay;
	(void)wf_enter();
	r = spawn(pr, &all, argv);
	wf_leave();
	if (r < 0)
		free(pr);
	else
		*ret = pr;
	return r;
}
