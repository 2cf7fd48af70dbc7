/*
 * weft_dial: a name is one or more addresses, and any that works will do. TCP tries several at a
 * time (race.c), unless that is turned off; else one after the other, each with its share of the
 * time.
 */
#include "io/dial.h"

#include "io/io.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define SHARE_NS_MIN INT64_C(2000000000)	/* as Go: less than 2 s is no chance */
#define NS_PER_S INT64_C(1000000000)

/*
 * Are both ends the same socket? A connection to a port of this machine that nobody listens on,
 * from a port that the kernel picks, can meet itself (TCP's simultaneous open).
 */
static bool
is_self_connected(int fd)
{
	struct sockaddr_storage ends[2];
	socklen_t len[2] = {sizeof(ends[0]), sizeof(ends[1])};

	memset(ends, 0, sizeof(ends));
	return wf_os_getsockname(fd, (struct sockaddr *)&ends[0], &len[0]) == 0 &&
	    wf_os_getpeername(fd, (struct sockaddr *)&ends[1], &len[1]) == 0 && len[0] == len[1] &&
	    memcmp(&ends[0], &ends[1], len[0]) == 0;
}

void
wf_io_keepalive(int fd, int64_t ns)
{
	int seconds = ns == 0 ? KEEPALIVE_S : (int)wf_min((ns + NS_PER_S - 1) / NS_PER_S, 32767);

	/* All fail on what is not TCP, which is as well. */
	if (wf_os_setsockopt_int(fd, SOL_SOCKET, SO_KEEPALIVE, ns >= 0) < 0 || ns < 0)
		return;
	(void)wf_os_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	(void)wf_os_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
	(void)wf_os_setsockopt_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
}

WF_PARKS int
wf_dial_socket(const struct dial *d, int family)
{
	const weft_dial_options *o = d->o;
	int fd, r = 0;

	if (o->local != NULL && o->local->sa_family != family)
		return -EAFNOSUPPORT;
	fd = wf_io_socket(family, d->type);
	if (fd < 0)
		return fd;
	if (d->type == SOCK_STREAM && family != AF_UNIX)
		wf_io_keepalive(fd, o->keepalive);
	if (o->control != NULL) {
		wf_leave();	/* the user's code */
		r = o->control(fd, o->control_arg);
		(void)wf_enter();
	}
	if (r == 0 && o->local != NULL)
		r = wf_os_bind(fd, o->local, o->local_len);
	if (r == 0)
		return fd;
	(void)wf_io_close(fd);
	return r;
}

int
wf_dial_check(const struct dial *d, int fd, int family)
{
	return d->type == SOCK_STREAM && family != AF_UNIX && is_self_connected(fd) ? DIAL_SELF
										    : 0;
}

WF_PARKS static int
dial_once(const struct dial *d, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int fd = wf_dial_socket(d, to->sa_family), r;

	if (fd < 0)
		return fd;
	r = wf_io_connect(fd, to, len, deadline);
	if (r == 0)
		r = wf_dial_check(d, fd, to->sa_family);
	if (r == 0)
		return fd;
	(void)wf_io_close(fd);
	return r;
}

WF_PARKS static int
dial_address(const struct dial *d, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int r, tries = 0;

	do
		r = dial_once(d, to, len, deadline);
	while (dial_again(r, ++tries));
	return r == DIAL_SELF ? -ECONNREFUSED : r;
}

/* What one of n addresses gets of the time that is left. */
static int64_t
share(int64_t deadline, int n)
{
	int64_t now = wf_os_now(), left = deadline - now;

	if (deadline == WEFT_FOREVER || n == 1 || left <= SHARE_NS_MIN)
		return deadline;
	return now + wf_max(left / n, SHARE_NS_MIN);
}

/* Any address that works; else why the first did not. */
WF_PARKS static int
dial_in_turn(const struct dial *d, struct addr_list *l)
{
	int first = 0;

	for (int i = 0; i < l->n; i++) {
		socklen_t len;
		const struct sockaddr *to = wf_addr_list_next(l, i, &len);
		int fd = dial_address(d, to, len, share(d->deadline, l->n - i));

		if (fd >= 0 || fd == -ECANCELED)
			return fd;
		if (first == 0)
			first = fd;
		if (i + 1 < l->n && d->deadline != WEFT_FOREVER && d->deadline <= wf_os_now())
			break;
	}
	return first;
}

WF_PARKS static int
dial(const struct addr_spec *s, const weft_dial_options *o, int64_t deadline)
{
	struct dial d = {.type = s->type, .o = o, .deadline = deadline};
	struct addr_list l;
	int r = wf_addr_list_init(&l, s, /* passive */ false, deadline);

	if (r < 0)
		return r;
	r = l.n > 1 && d.type == SOCK_STREAM && o->delay >= 0 ? wf_dial_race(&d, &l)
							      : dial_in_turn(&d, &l);
	wf_addr_list_fini(&l);
	return r;
}

WF_API_PARKS int
weft_dial_with(const weft_dial_options *o, const char *network, const char *address,
    int64_t deadline)
{
	weft_dial_options all = {.size = sizeof(all)};
	struct addr_spec s;
	int r = wf_addr_parse(network, address, &s);

	if (r < 0)
		return r;
	/* Members that the caller's header did not have yet are zero. */
	if (o != NULL)
		memcpy(&all, o, wf_min(o->size, sizeof(all)));
	(void)wf_enter();
	r = dial(&s, &all, deadline);
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_dial(const char *network, const char *address, int64_t deadline)
{
	return weft_dial_with(NULL, network, address, deadline);
}
