/*
 * The debug endpoint: a socket for this machine only, a thread that accepts, a thread for each
 * connection. None of them runs goroutines, so they answer when everything else is stuck. Those
 * that profile or trace enter the runtime, and say so (wf_servant_enters): they keep nobody from
 * finding that all goroutines are asleep. One request per connection.
 *
 * Who may ask: on a Unix socket whoever the file system lets in, which is this user (0600). On
 * loopback whoever has the token, because every user of the machine can connect. Never a request
 * that came under a foreign name: a page in a browser can send those (DNS rebinding).
 */
#include "debug/serve.h"

#include <weft/debug.h>
#include "io/addr.h"
#include "os/os.h"
#include "sched/hooks.h"
#include "sched/sched.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 8u	/* more are told to come later: this is no web server */
#define STACK_BYTES ((size_t)256 << 10)
#define REQUEST_NS 10000000000	/* so long a request may take to come in */
#define TOKEN_BYTES 16
#define STDERR 2

static struct {
	struct wf_lock lock;
	bool is_on;			/* under lock */
	int fd;				/* constant once a thread runs */
	bool wants_token;		/* the same */
	char token[65];			/* the same */
	_Atomic uint32_t n_connections;
} server;

/* ---- one connection ---- */

/* Compares all of it in any case: how long it takes tells nothing. */
static bool
is_token(struct wf_http_text t)
{
	size_t n = strlen(server.token);
	unsigned differs = 0;

	if (t.s == NULL || t.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned)(t.s[i] ^ server.token[i]);
	return differs == 0;
}

static void
answer(int fd, const struct wf_http_request *r)
{
	if (!wf_http_host_is_local(r->host))
		wf_answer_status(fd, 403);
	else if (server.wants_token && !is_token(r->bearer) &&
	    !is_token(wf_http_query(r, "token")))
		wf_answer_status(fd, 401);
	else
		wf_answer(fd, r);
}

/* Reads one request, whatever pieces it comes in, and answers it. */
static void
converse(int fd)
{
	int64_t deadline = wf_os_now() + REQUEST_NS;
	char buf[WF_HTTP_HEAD_MAX];
	struct wf_http_request r;
	size_t n = 0;

	for (;;) {
		int64_t left = deadline - wf_os_now();
		ssize_t got;
		int len;

		if (left <= 0 || wf_os_poll_wait(fd, POLLIN, (int)(left / 1000000) + 1) <= 0)
			return;
		got = wf_os_recv(fd, buf + n, sizeof(buf) - n, 0);
		if (got == -EAGAIN)
			continue;
		if (got <= 0)
			return;
		n += (size_t)got;
		len = wf_http_parse(buf, n, &r);
		if (len < 0)
			wf_answer_status(fd, -len);
		else if (len > 0)
			answer(fd, &r);
		if (len != 0)
			return;
	}
}

static void
connection_main(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char rest[512];

	wf_service_begins();
	wf_os_thread_name("weft-debug");
	converse(fd);
	/* What was sent and not read would make the kernel drop our answer. */
	for (int i = 0; i < 64 && wf_os_recv(fd, rest, sizeof(rest), 0) > 0; i++)
		continue;
	(void)wf_os_close(fd);
	(void)wf_sub_relaxed(&server.n_connections, 1);
	if (wf_self() == NULL)		/* else it is counted otherwise by now */
		wf_service_ends();
}

static void
accept_main(void *arg)
{
	(void)arg;
	wf_service_begins();
	wf_os_thread_name("weft-debug");
	for (;;) {
		int fd;

		(void)wf_os_poll_wait(server.fd, POLLIN, -1);
		fd = wf_os_accept(server.fd, NULL, NULL);
		if (fd == -EBADF || fd == -ENOTSOCK || fd == -EINVAL || fd == -EOPNOTSUPP)
			break;		/* the program closed it, and the number is not ours */
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
			(void)wf_os_poll_wait(-1, 0, 100);	/* it stays readable: no hurry */
		if (fd < 0)
			continue;
		if (wf_add_relaxed(&server.n_connections, 1) < CONNECTIONS_MAX) {
			WF_POINT("serve.connects");
			if (wf_os_thread_start(connection_main, (void *)(intptr_t)fd,
			    STACK_BYTES, /* block_signals */ true) == 0)
				continue;
		}
		(void)wf_sub_relaxed(&server.n_connections, 1);
		wf_answer_status(fd, 503);
		(void)wf_os_close(fd);
	}
	wf_service_ends();
}

/* ---- start ---- */

static bool
is_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return ss->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* A socket file that nobody listens at any more: its process was killed. */
static bool
is_stale(const struct addr *a, const char *path)
{
	int fd = -1, r;
	struct stat st;

	/* What is no socket refuses a connection, too. */
	if (wf_os_lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == S_IFSOCK)
		fd = wf_os_socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return false;
	r = wf_os_connect(fd, (const void *)&a->ss, a->len);
	(void)wf_os_close(fd);
	return r == -ECONNREFUSED;
}

static int
listen_at(const struct addr *a, const char *path)
{
	int fd = wf_os_socket(a->ss.ss_family, SOCK_STREAM, 0);
	int r;

	if (fd < 0)
		return fd;
	if (path != NULL)
		r = wf_os_fchmod(fd, 0600);
	else
		r = wf_os_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0)
		r = wf_os_bind(fd, (const void *)&a->ss, a->len);
	if (r == -EADDRINUSE && path != NULL && is_stale(a, path) && wf_os_unlink(path) == 0)
		r = wf_os_bind(fd, (const void *)&a->ss, a->len);
	if (r == 0)
		r = wf_os_listen(fd, 16);
	if (r == 0)
		return fd;
	(void)wf_os_close(fd);
	return r;
}

/* From the environment, or made up. */
static int
make_token(void)
{
	const char *given = wf_os_getenv("WEFT_HTTP_TOKEN");
	unsigned char random[TOKEN_BYTES];
	ssize_t r;
	int fd;

	if (given != NULL && given[0] != '\0') {
		if (strlen(given) >= sizeof(server.token))
			return -EINVAL;
		strcpy(server.token, given);
		return 0;
	}
	fd = wf_os_open("/dev/urandom", O_RDONLY, 0);
	if (fd < 0)
		return fd;
	r = wf_os_read(fd, random, sizeof(random));
	(void)wf_os_close(fd);
	if (r != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++) {
		server.token[2 * i] = "0123456789abcdef"[random[i] >> 4];
		server.token[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
	}
	return 0;
}

static void
put_ipv4(struct wf_out *o, const struct sockaddr_in *in)
{
	uint32_t address = ntohl(in->sin_addr.s_addr);

	for (unsigned shift = 32; shift > 0; shift -= 8) {
		wf_out_u64(o, address >> (shift - 8) & 255);
		if (shift > 8)
			wf_out_str(o, ".");
	}
}

/* Where to look, with the port that the kernel has chosen. */
static void
tell(const struct addr *a)
{
	struct addr is = *a;
	struct wf_out o;
	uint16_t port;

	is.len = sizeof(is.ss);
	(void)wf_os_getsockname(server.fd, (void *)&is.ss, &is.len);
	port = ntohs(is.ss.ss_family == AF_INET
	    ? ((const struct sockaddr_in *)(const void *)&is.ss)->sin_port
	    : ((const struct sockaddr_in6 *)(const void *)&is.ss)->sin6_port);
	wf_out_init(&o, STDERR);
	wf_out_str(&o, "weft: debug endpoint at http://");
	if (is.ss.ss_family == AF_INET)
		put_ipv4(&o, (const void *)&is.ss);
	else
		wf_out_str(&o, "[::1]");
	wf_out_str(&o, ":");
	wf_out_u64(&o, port);
	wf_out_str(&o, "/?token=");
	wf_out_str(&o, server.token);
	wf_out_str(&o, "\n");
	wf_out_flush(&o);
}

static int
serve_locked(const char *address)
    WF_HOLDS(server.lock)
{
	bool is_unix = strncmp(address, "unix:", 5) == 0;
	struct addr_spec spec;
	struct addr a[2];
	int r;

	if (server.is_on)
		return -EALREADY;
	r = wf_addr_parse(is_unix ? "unix" : "tcp", is_unix ? address + 5 : address, &spec);
	if (r != 0)
		return r;
	if (wf_addr_local(&spec, /* passive */ true, a) != 1)
		return -EACCES;		/* no host, or a name */
	/* A name without a file has no permissions either. */
	if (is_unix ? address[5] == '@' : !is_loopback(&a[0].ss))
		return -EACCES;
	if (!is_unix && (r = make_token()) != 0)
		return r;
	server.wants_token = !is_unix;
	server.fd = listen_at(&a[0], is_unix ? address + 5 : NULL);
	if (server.fd < 0)
		return server.fd;
	WF_POINT("serve.begins");
	r = wf_os_thread_start(accept_main, NULL, STACK_BYTES, /* block_signals */ true);
	if (r != 0) {
		(void)wf_os_close(server.fd);
		return r;
	}
	server.is_on = true;
	if (!is_unix)
		tell(&a[0]);
	return 0;
}

static int
serve(const char *address)
{
	int r;

	wf_lock(&server.lock);
	r = serve_locked(address);
	wf_unlock(&server.lock);
	return r;
}

void
wf_serve_from_env(void)
{
	const char *address = wf_os_getenv("WEFT_HTTP");
	struct wf_out o;
	int r;

	if (address == NULL || address[0] == '\0' || (r = serve(address)) == 0)
		return;
	wf_out_init(&o, STDERR);
	wf_out_str(&o, "weft: WEFT_HTTP: can't serve at ");
	wf_out_str(&o, address);
	wf_out_str(&o, ": errno ");
	wf_out_i64(&o, -r);
	if (r == -EINVAL || r == -EACCES)
		wf_out_str(&o, " (it is unix:PATH, 127.0.0.1:PORT or [::1]:PORT)");
	wf_out_str(&o, "\n");
	wf_out_flush(&o);
}

WF_API_PARKS int
weft_debug_serve(const char *address)
{
	if (address == NULL)
		return -EINVAL;
	(void)wf_enter();
	wf_leave();
	return serve(address);
}
