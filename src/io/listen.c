/*
 * weft_listen, and how weft makes sockets.
 */
#include "io/io.h"

#include "io/resolve.h"
#include "os/os.h"
#include "sched/self.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int
wf_io_socket(int family, int type)
{
	int fd = wf_os_socket(family, type, 0);
	enum pd_how how = PD_HOW_SOCKET;

	if (fd < 0)
		return fd;
	if (type == SOCK_STREAM && family != AF_UNIX &&
	    wf_os_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0)
		how = PD_HOW_TCP;
	wf_pd_adopt(fd, how);
	return fd;
}

/* both: no family was asked for, so that all addresses of IPv6 are those of IPv4 as well. */
static int
listen_at(int family, const struct sockaddr *a, socklen_t len, bool both, int backlog)
{
	int fd = wf_io_socket(family, SOCK_STREAM), r = 0;

	if (fd < 0)
		return fd;
	/* A Unix socket has no ports that linger; there the option means nothing. */
	if (family != AF_UNIX)
		r = wf_os_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && family == AF_INET6)
		r = wf_os_setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? 0 : 1);
	if (r == 0)
		r = wf_os_bind(fd, a, len);
	if (family != AF_UNIX)
		wf_io_keepalive(fd, 0);
	if (r == 0)	/* the kernel cuts it to net.core.somaxconn */
		r = wf_os_listen(fd, backlog > 0 ? backlog : INT32_MAX);
	if (r == 0)
		return fd;
	(void)wf_os_close(fd);	/* nobody else knows the number */
	return r;
}

/* As Go: "tcp" at all addresses of IPv6 takes those of IPv4 in as well. */
static bool
is_any6(const struct sockaddr *a)
{
	return a->sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

/* The first address that works. The first error is the one that tells most. */
static int
listen_any(struct addr_list *l, const struct addr_spec *s, int backlog)
{
	int first = 0;

	for (int i = 0; i < l->n; i++) {
		socklen_t len;
		const struct sockaddr *a = wf_addr_list_next(l, i, &len);
		bool both = s->family == AF_UNSPEC && is_any6(a);
		int fd = listen_at(a->sa_family, a, len, both, backlog);

		if (fd >= 0)
			return fd;
		if (first == 0)
			first = fd;
		/* No IPv6 here: try the next. A port in use is in use, though. */
		if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
			break;
	}
	return first;
}

WF_PARKS static int
listen_on(const struct addr_spec *s, int backlog)
{
	struct addr_list l;
	int r;

	(void)wf_enter();
	r = wf_addr_list_init(&l, s, /* passive */ true, WEFT_FOREVER);
	if (r == 0) {
		r = listen_any(&l, s, backlog);
		wf_addr_list_fini(&l);
	}
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_listen(const char *network, const char *address, int backlog)
{
	struct addr_spec s;
	int r = wf_addr_parse(network, address, &s);

	if (r < 0)
		return r;
	return s.type == SOCK_STREAM ? listen_on(&s, backlog) : -EINVAL;
}
