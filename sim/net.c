/*
 * The network of the simulated machine: TCP sockets are Unix sockets in disguise. Port 80 of any
 * address is the abstract name "weft-sim.PID.80", so there is one host, which nobody outside of the
 * run can reach, and what is sent arrives at once and in the order of the calls. README.md,
 * "Network".
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define FDS 65536
#define FIRST_PORT 32768	/* as the kernel's own range begins */

static uint8_t family_of[FDS];	/* what the program thinks the socket is: AF_INET, AF_INET6 */
static uint32_t last_port = FIRST_PORT;

static int
option(int fd, int opt)
{
	int value;

	return wf_os_getsockopt_int(fd, SOL_SOCKET, opt, &value) < 0 ? -1 : value;
}

/* Is it one of ours, and an address of the Internet? */
static bool
is_disguised(int fd, const struct sockaddr *a)
{
	return wf_sim_is_on() && (a->sa_family == AF_INET || a->sa_family == AF_INET6) &&
	    option(fd, SO_DOMAIN) == AF_UNIX;
}

static uint16_t
port_of(const struct sockaddr *a)
{
	const struct sockaddr_in *in = (const void *)a;	/* at the same place in sockaddr_in6 */

	return ntohs(in->sin_port);
}

static socklen_t
disguise(uint16_t port, struct sockaddr_un *ret)
{
	int n;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	n = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "weft-sim.%d.%u", wf_os_pid(),
	    port);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* What the kernel says of the Unix socket, as the program's own kind of address. */
static void
undisguise(int fd, const struct sockaddr_un *un, socklen_t un_len, struct sockaddr *a,
    socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const void *from = un;
	socklen_t n = un_len;
	int pid;
	unsigned port = 0;

	if (a == NULL || len == NULL)
		return;
	if (fd >= 0 && fd < FDS && family_of[fd] != 0 && un->sun_family == AF_UNIX) {
		if (un_len > offsetof(struct sockaddr_un, sun_path) + 1)
			(void)sscanf(un->sun_path + 1, "weft-sim.%d.%u", &pid, &port);
		in.sin_port = in6.sin6_port = htons((uint16_t)port);
		from = family_of[fd] == AF_INET ? (const void *)&in : (const void *)&in6;
		n = family_of[fd] == AF_INET ? sizeof(in) : sizeof(in6);
	}
	memcpy(a, from, *len < n ? *len : n);
	*len = n;
}

/* Gives the socket a port of its own, if it has none. */
static int
bind_any(int fd)
{
	struct sockaddr_un un;
	int r = -EADDRINUSE;

	for (int i = 0; i < 30000 && r == -EADDRINUSE; i++) {
		uint16_t port = (uint16_t)(FIRST_PORT + (last_port++ - FIRST_PORT) % 28000);

		r = wf_real_bind(fd, (struct sockaddr *)&un, disguise(port, &un));
	}
	return r == -EINVAL ? 0 : r;	/* it is bound */
}

/* A fault of whatever makes sockets; 0: none. */
static int
no_file(void)
{
	return wf_sim_refuses() || wf_sim_fault(WEFT_SIM_NO_FILES, 4) ? -EMFILE : 0;
}

int
wf_os_socket(int family, int type, int protocol)
{
	int fd;

	if (!wf_sim_is_on())
		return wf_real_socket(family, type, protocol);
	wf_sim_call();
	if (no_file() < 0)
		return -EMFILE;
	if ((family != AF_INET && family != AF_INET6) || type != SOCK_STREAM)
		return wf_real_socket(family, type, protocol);
	fd = wf_real_socket(AF_UNIX, type, 0);
	if (fd >= 0 && fd < FDS)
		family_of[fd] = (uint8_t)family;
	return fd;
}

int
wf_os_bind(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sockaddr_un un;

	if (!is_disguised(fd, a))
		return wf_real_bind(fd, a, len);
	wf_sim_call();
	if (port_of(a) == 0)
		return bind_any(fd);
	return wf_real_bind(fd, (struct sockaddr *)&un, disguise(port_of(a), &un));
}

int
wf_os_listen(int fd, int backlog)
{
	if (!wf_sim_is_on())
		return wf_real_listen(fd, backlog);
	wf_sim_call();
	/* A Unix socket's queue that is full has no answer that a TCP socket could give. */
	return wf_real_listen(fd, backlog < 4096 ? 4096 : backlog);
}

int
wf_os_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	struct sockaddr_un un;
	int r;

	if (!is_disguised(fd, to))
		return wf_real_connect(fd, to, len);
	wf_sim_call();
	(void)bind_any(fd);
	r = wf_real_connect(fd, (struct sockaddr *)&un, disguise(port_of(to), &un));
	return r == -EAGAIN ? -ECONNREFUSED : r;
}

int
wf_os_accept(int fd, struct sockaddr *from, socklen_t *len)
{
	struct sockaddr_un un = {.sun_family = AF_UNSPEC};
	socklen_t un_len = sizeof(un);
	int r;

	if (!wf_sim_is_on())
		return wf_real_accept(fd, from, len);
	wf_sim_call();
	if (wf_os_poll_now(fd, POLLIN) > 0) {
		if (wf_sim_refuses())
			return -EMFILE;
		if (wf_sim_fault(WEFT_SIM_NO_FILES, 4))
			return wf_sim_below(2) == 0 ? -EMFILE : -ECONNABORTED;
	}
	r = wf_real_accept(fd, (struct sockaddr *)&un, &un_len);
	if (r >= 0 && r < FDS)
		family_of[r] = fd < FDS ? family_of[fd] : 0;
	if (r >= 0)
		undisguise(r, &un, un_len, from, len);
	return r;
}

int
wf_os_getsockname(int fd, struct sockaddr *a, socklen_t *len)
{
	struct sockaddr_un un;
	socklen_t un_len = sizeof(un);
	int r;

	if (!wf_sim_is_on() || option(fd, SO_DOMAIN) != AF_UNIX)
		return wf_real_getsockname(fd, a, len);
	r = wf_real_getsockname(fd, (struct sockaddr *)&un, &un_len);
	if (r == 0)
		undisguise(fd, &un, un_len, a, len);
	return r;
}

int
wf_os_getpeername(int fd, struct sockaddr *a, socklen_t *len)
{
	struct sockaddr_un un;
	socklen_t un_len = sizeof(un);
	int r;

	if (!wf_sim_is_on() || option(fd, SO_DOMAIN) != AF_UNIX)
		return wf_real_getpeername(fd, a, len);
	r = wf_real_getpeername(fd, (struct sockaddr *)&un, &un_len);
	if (r == 0)
		undisguise(fd, &un, un_len, a, len);
	return r;
}

int
wf_os_setsockopt_int(int fd, int level, int opt, int value)
{
	/* What only TCP knows is taken note of. */
	if (wf_sim_is_on() && level != SOL_SOCKET && option(fd, SO_DOMAIN) == AF_UNIX)
		return 0;
	return wf_real_setsockopt_int(fd, level, opt, value);
}
