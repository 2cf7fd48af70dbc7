/*
 * Several addresses at a time (RFC 8305, "happy eyeballs"): a name whose first address does not
 * answer costs 250 ms and not the whole time, whichever family is broken.
 *
 * The addresses of both families take turns. One is begun when none is under way, when the one
 * before has failed, or when it has had its head start. The first connection wins, the others are
 * closed. All in the goroutine of the caller: the sockets are in an epoll instance of the race,
 * which is waited for as any descriptor is, so that nothing can be left behind.
 */
#include "io/io.h"

#include "io/dial.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define DELAY_NS INT64_C(250000000)	/* RFC 8305, 5 */
#define BATCH 8

struct attempt {
	const struct sockaddr *to;
	socklen_t len;
	int fd;			/* or -1 */
	int tries;
};

struct race {
	const struct dial *d;
	struct attempt *a;	/* in the order in which they begin */
	int n;
	int nstarted, npending;
	int epfd;
	int64_t next;		/* when the next one begins, at the latest */
	int error;		/* the first; 0 = none yet */
	int winner;		/* its descriptor, or -1 */
};

/* The next of in[0..n) at or after *at that is (or is not) of the family, or NULL. */
static const struct attempt *
next_of(const struct attempt *in, int n, int *at, int family, bool is)
{
	while (*at < n)
		if ((in[(*at)++].to->sa_family == family) == is)
			return &in[*at - 1];
	return NULL;
}

/* The addresses of the first family and those of the other by turns, each in their order. */
static void
interleave(struct race *r, struct addr_list *l, struct attempt *in)
{
	int at[2] = {0, 0}, family;

	for (int i = 0; i < r->n; i++)
		in[i].to = wf_addr_list_next(l, i, &in[i].len);
	family = in[0].to->sa_family;
	for (int i = 0; i < r->n; i++) {
		bool first = i % 2 == 0;
		const struct attempt *a = next_of(in, r->n, &at[first], family, first);

		if (a == NULL)	/* that one has no more */
			a = next_of(in, r->n, &at[!first], family, !first);
		r->a[i] = *a;
		r->a[i].fd = -1;
	}
}

WF_PARKS static void begin(struct race *r, struct attempt *a);

/* An attempt is over: 0 connected, or why not. */
WF_PARKS static void
finish(struct race *r, struct attempt *a, int result)
{
	if (result == 0)
		result = wf_dial_check(r->d, a->fd, a->to->sa_family);
	if (result == 0) {
		if (r->winner < 0) {
			r->winner = a->fd;
			a->fd = -1;
		}
		return;
	}
	if (a->fd >= 0)
		(void)wf_os_close(a->fd);	/* nobody else knows the number */
	a->fd = -1;
	if (dial_again(result, ++a->tries)) {
		begin(r, a);
		return;
	}
	if (r->error == 0)
		r->error = result == DIAL_SELF ? -ECONNREFUSED : result;
	r->next = 0;	/* the next one at once */
}

WF_PARKS static void
begin(struct race *r, struct attempt *a)
{
	int e = a->fd = wf_dial_socket(r->d, a->to->sa_family);

	if (e >= 0)
		e = wf_os_connect(a->fd, a->to, a->len);
	if (e == -EINPROGRESS) {
		e = wf_os_epoll_ctl(
		    r->epfd, EPOLL_CTL_ADD, a->fd, EPOLLOUT, (uint64_t)(a - r->a));
		if (e == 0) {
			r->npending++;
			return;
		}
	}
	finish(r, a, e);
}

/* Those that are due. */
WF_PARKS static void
begin_due(struct race *r)
{
	int64_t delay = r->d->o->delay > 0 ? r->d->o->delay : DELAY_NS;

	while (r->winner < 0 && r->nstarted < r->n &&
	    (r->npending == 0 || r->next <= wf_os_now())) {
		r->next = wf_os_now() + delay;
		begin(r, &r->a[r->nstarted++]);
	}
}

/* Events of the race's own epoll instance. */
WF_PARKS static void
collect(struct race *r)
{
	struct epoll_event ev[BATCH];
	int n = wf_os_epoll_wait(r->epfd, ev, BATCH, 0);

	for (int i = 0; i < n; i++) {
		struct attempt *a = &r->a[ev[i].data.u64];
		int e = wf_io_connected(a->fd);

		if (e == -EAGAIN)
			continue;
		r->npending--;
		if (e == 0)	/* else closing it takes it out */
			(void)wf_os_epoll_ctl(r->epfd, EPOLL_CTL_DEL, a->fd, 0, 0);
		finish(r, a, e);
	}
}

/* The winner's descriptor, or an error. */
WF_PARKS static int
run(struct race *r)
{
	struct pd *pd;
	int e = wf_pd_get(r->epfd, &pd);

	if (e < 0)
		return e;
	for (;;) {
		int64_t until = r->d->deadline;

		begin_due(r);
		if (r->winner >= 0)
			return r->winner;
		if (r->npending == 0)
			return r->error;
		if (r->nstarted < r->n)
			until = wf_min(until, r->next);
		e = wf_pd_enter(pd, PD_OTHER, WEFT_FOREVER);
		if (e < 0)
			return e;
		e = wf_pd_poll(pd, POLLIN, until);
		wf_pd_leave(pd, PD_OTHER);
		if (e < 0 && (e != -ETIMEDOUT || until == r->d->deadline))
			return e;
		collect(r);
	}
}

WF_PARKS int
wf_dial_race(const struct dial *d, struct addr_list *l)
{
	struct race r = {.d = d, .n = l->n, .winner = -1};
	int e;

	r.a = calloc(2 * (size_t)r.n, sizeof(*r.a));
	if (r.a == NULL)
		return -ENOMEM;
	interleave(&r, l, r.a + r.n);
	e = r.epfd = wf_os_epoll_create();
	if (e >= 0) {
		wf_pd_adopt(r.epfd, PD_HOW_UNKNOWN);
		e = run(&r);
		for (int i = 0; i < r.nstarted; i++)
			if (r.a[i].fd >= 0)
				(void)wf_os_close(r.a[i].fd);
		if (e < 0 && r.winner >= 0)
			(void)wf_os_close(r.winner);
		(void)wf_io_close(r.epfd);
	}
	free(r.a);
	return e;
}
