/*
 * Calls on sockets, and the resolver. Each converts errno on the spot and tries again after a
 * signal. SIGPIPE is kept off by MSG_NOSIGNAL, which the callers give.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>

#define RETRY(ret, call) \
	do { \
		while (((ret) = (call)) < 0 && errno == EINTR) \
			continue; \
		if ((ret) < 0) \
			(ret) = -errno; \
	} while (0)

ssize_t
wf_os_recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t r;

	RETRY(r, recv(fd, buf, n, flags));
	return r;
}

ssize_t
wf_os_send(int fd, const void *buf, size_t n, int flags)
{
	ssize_t r;

	RETRY(r, send(fd, buf, n, flags));
	return r;
}

ssize_t
wf_os_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	ssize_t r;

	RETRY(r, recvfrom(fd, buf, n, flags, from, len));
	return r;
}

ssize_t
wf_os_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len)
{
	ssize_t r;

	RETRY(r, sendto(fd, buf, n, flags, to, len));
	return r;
}

ssize_t
wf_os_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t r;

	RETRY(r, recvmsg(fd, m, flags));
	return r;
}

ssize_t
wf_os_sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t r;

	RETRY(r, sendmsg(fd, m, flags));
	return r;
}

int
wf_os_accept(int fd, struct sockaddr *from, socklen_t *len)
{
	int r;

	RETRY(r, accept4(fd, from, len, SOCK_NONBLOCK | SOCK_CLOEXEC));
	return r;
}

int
wf_os_socket(int family, int type, int protocol)
{
	int r = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	return r < 0 ? -errno : r;
}

int
wf_os_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	/* Not again after a signal: the connection goes on being made (connect(2)). */
	if (connect(fd, to, len) == 0)
		return 0;
	return errno == EINTR ? -EINPROGRESS : -errno;
}

int
wf_os_bind(int fd, const struct sockaddr *a, socklen_t len)
{
	return bind(fd, a, len) < 0 ? -errno : 0;
}

int
wf_os_listen(int fd, int backlog)
{
	return listen(fd, backlog) < 0 ? -errno : 0;
}

int
wf_os_setsockopt_int(int fd, int level, int opt, int value)
{
	return setsockopt(fd, level, opt, &value, sizeof(value)) < 0 ? -errno : 0;
}

int
wf_os_getsockopt_int(int fd, int level, int opt, int *ret_value)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, opt, &value, &len) < 0)
		return -errno;
	*ret_value = value;
	return 0;
}

int
wf_os_getpeername(int fd, struct sockaddr *a, socklen_t *len)
{
	return getpeername(fd, a, len) < 0 ? -errno : 0;
}

int
wf_os_getsockname(int fd, struct sockaddr *a, socklen_t *len)
{
	return getsockname(fd, a, len) < 0 ? -errno : 0;
}

int
wf_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int *ret_errno)
{
	int e = getaddrinfo(host, service, hints, res);

	*ret_errno = e == EAI_SYSTEM ? -errno : 0;
	return e;
}

void
wf_os_freeaddrinfo(struct addrinfo *res)
{
	freeaddrinfo(res);
}
