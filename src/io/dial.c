/*
 * weft_dial: addresses are tried one after the other, each with its share of the time. (Go also
 * starts the second family 300 ms after the first, RFC 8305. Here a dead first family costs its
 * share.)
 */
#include "io/io.h"

#include "io/resolve.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <string.h>

#define SHARE_NS_MIN INT64_C(2000000000)	/* as Go: less than 2 s is no chance */
#define SPURIOUS_TRIES 3			/* as Go: twice again */
#define SELF_CONNECTED (-ELOOP)			/* inside this file */

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

WF_PARKS static int
dial_once(int type, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int fd = wf_io_socket(to->sa_family, type), r;

	if (fd < 0)
		return fd;
	r = wf_io_connect(fd, to, len, deadline);
	if (r == 0 && type == SOCK_STREAM && to->sa_family != AF_UNIX && is_self_connected(fd))
		r = SELF_CONNECTED;
	if (r == 0)
		return fd;
	(void)wf_io_close(fd);
	return r;
}

WF_PARKS static int
dial_address(int type, const struct sockaddr *to, socklen_t len, int64_t deadline)
{
	int r, tries = 0;

	/* A local port that the kernel picked and then could not have is also worth a new try. */
	do
		r = dial_once(type, to, len, deadline);
	while ((r == SELF_CONNECTED || r == -EADDRNOTAVAIL) && ++tries < SPURIOUS_TRIES);
	return r == SELF_CONNECTED ? -ECONNREFUSED : r;
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
dial_any(struct addr_list *l, int type, int64_t deadline)
{
	int first = 0;

	for (int i = 0; i < l->n; i++) {
		socklen_t len;
		const struct sockaddr *to = wf_addr_list_next(l, i, &len);
		int fd = dial_address(type, to, len, share(deadline, l->n - i));

		if (fd >= 0 || fd == -ECANCELED)
			return fd;
		if (first == 0)
			first = fd;
		if (i + 1 < l->n && deadline != WEFT_FOREVER && deadline <= wf_os_now())
			break;
	}
	return first;
}

WF_API_PARKS int
weft_dial(const char *network, const char *address, int64_t deadline)
{
	struct addr_spec s;
	struct addr_list l;
	int r = wf_addr_parse(network, address, &s);

	if (r < 0)
		return r;
	(void)wf_enter();
	r = wf_addr_list_init(&l, &s, /* passive */ false, deadline);
	if (r == 0) {
		r = dial_any(&l, s.type, deadline);
		wf_addr_list_fini(&l);
	}
	wf_leave();
	return r;
}
