/*
 * Listening, accepting, refusing, and stopping. Knows connections as things that
 * are on a list, may be idle, and end by themselves; nothing of HTTP.
 */
#include "httpd.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* When there is no room, connections that have been idle this long make some. */
#define SPARE_IDLE_NS (5 * SECOND)

/* Between two tries to accept without a descriptor: 100 a second cost nothing. */
#define SHORTAGE_NS (10 * MILLISECOND)

/* How long a refused client may take to read why. */
#define REFUSE_NS (50 * MILLISECOND)

/* While stopping: a connection that was idle for this long has no request on its way. */
#define SURELY_IDLE_NS (1 * SECOND)

/* While stopping: how long a handshake may be unfinished. */
#define HANDSHAKE_NS (20 * MILLISECOND)

/* ---- the list of connections ---- */

void
server_add(struct server *s, struct conn *c)
{
	weft_mutex_lock(&s->lock);
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	weft_mutex_unlock(&s->lock);
	atomic_fetch_add(&s->nconns, 1);
}

void
server_remove(struct server *s, struct conn *c)
{
	weft_mutex_lock(&s->lock);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	weft_mutex_unlock(&s->lock);
	atomic_fetch_sub(&s->nconns, 1);
}

int
server_close_idle(struct server *s, int64_t before)
{
	int n = 0;

	/* Under the lock c->fd is the connection's: it is closed after server_remove(). */
	weft_mutex_lock(&s->lock);
	for (struct conn *c = s->conns; c; c = c->next) {
		int64_t since = atomic_load(&c->idle_since);

		if (since != 0 && since <= before) {
			sys_shutdown(c->fd, SHUT_RD);
			n++;
		}
	}
	weft_mutex_unlock(&s->lock);
	return n;
}

/* ---- accepting ---- */

/*
 * Says 503 and hangs up, in that order. A goroutine's function, so that a client that
 * is slow to read it keeps nobody waiting. @arg is the descriptor itself.
 */
static void
refuse(void *arg)
{
	int fd = (int)(intptr_t)arg;
	int64_t deadline = weft_in(REFUSE_NS);
	char drop[1024];

	if (weft_send(fd, too_busy, too_busy_len, 0, deadline) > 0 && sys_shutdown(fd, SHUT_WR) == 0) {
		/* Its request must be read, or closing would reset the connection and the 503. */
		while (weft_read(fd, drop, sizeof(drop), deadline) > 0)
			continue;
	}
	weft_close(fd);
}

/* At most once a second: says why clients are refused, and lets idle ones make room. */
static void
relieve(struct server *s, const char *why)
{
	int64_t now = weft_now();
	int n;

	if (s->complained_at && now - s->complained_at < SECOND)
		return;
	s->complained_at = now;
	n = server_close_idle(s, now - SPARE_IDLE_NS);
	say("%s: answering 503 (%d connections open, %d of them idle and closed now)", why,
	    atomic_load(&s->nconns), n);
}

static void
turn_away(struct server *s, int fd, const char *why)
{
	atomic_fetch_add(&s->nrefused, 1);
	relieve(s, why);
	if (weft_go(refuse, (void *)(intptr_t)fd) < 0)
		weft_close(fd);
}

/* Starts the goroutine of a new connection. */
static void
welcome(struct server *s, int fd, const struct sockaddr *from, socklen_t len)
{
	struct conn *c;

	if (atomic_load(&s->nconns) >= s->opt.max_conns) {
		turn_away(s, fd, "--max-conns is reached");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		turn_away(s, fd, "out of memory");
		return;
	}
	c->server = s;
	c->fd = fd;
	if (s->log_fd >= 0 &&
	    getnameinfo(from, len, c->peer, sizeof(c->peer), NULL, 0, NI_NUMERICHOST) != 0)
		strcpy(c->peer, "-");
	server_add(s, c);
	weft_waitgroup_add(&s->conns_open, 1);
	if (weft_go(conn_run, c) < 0) {
		server_remove(s, c);
		weft_waitgroup_done(&s->conns_open);
		free(c);
		turn_away(s, fd, "no memory for a goroutine");
	}
}

/*
 * There is no descriptor for the client that waits. Left alone, it would stay in the
 * queue, accept would fail again at once, and the loop would eat a processor. So we
 * keep one descriptor in reserve: given up, it lets this one client in, to be told
 * to come again. Then we sleep a little, whatever happened.
 */
static void
accept_short(struct server *s, int err)
{
	relieve(s, strerror(-err));
	if (s->reserve_fd >= 0) {
		int fd;

		weft_close(s->reserve_fd);
		fd = weft_accept(s->listen_fd, NULL, NULL, WEFT_NOW);
		if (fd >= 0) {
			atomic_fetch_add(&s->nrefused, 1);
			refuse((void *)(intptr_t)fd);
		}
	}
	/* Somebody else may have been faster; then we try again the next time. */
	s->reserve_fd = sys_open_reserve();
	weft_sleep(SHORTAGE_NS);
}

static void
accept_run(void *arg)
{
	struct server *s = arg;
	struct sockaddr_storage from;
	bool open = true;

	while (open) {
		socklen_t len = sizeof(from);
		int fd = weft_accept(s->listen_fd, (struct sockaddr *)&from, &len, WEFT_FOREVER);

		if (fd >= 0) {
			welcome(s, fd, (struct sockaddr *)&from, len);
			continue;
		}
		switch (fd) {
		case -EBADF:		/* closed by server_stop() */
			open = false;
			break;
		case -EMFILE:
		case -ENFILE:
		case -ENOBUFS:
		case -ENOMEM:
			accept_short(s, fd);
			break;
		case -ECONNABORTED:	/* it was gone before we came: no matter */
			break;
		default:
			say("accept: %s", strerror(-fd));
			weft_sleep(SHORTAGE_NS);
		}
	}
	weft_waitgroup_done(&s->acceptor);
}

/* ---- start and stop ---- */

static int
failed(const char *what, const char *whom, int err)
{
	say("cannot %s %s: %s", what, whom, strerror(-err));
	return 1;
}

static int
open_root(struct server *s)
{
	int fd;

	s->root_fd = sys_open_dir(s->opt.root);
	if (s->root_fd < 0)
		return failed("serve", s->opt.root, s->root_fd);
	/* Without openat2 there is no safe way to stay below the root, so we do not try. */
	fd = sys_open_beneath(s->root_fd, ".");
	if (fd == -ENOSYS || fd == -EPERM) {
		say("this system has no openat2(2) (Linux 5.6 has it, a sandbox may deny it): "
		    "cannot keep requests inside %s, so serving nothing", s->opt.root);
		return 1;
	}
	if (fd < 0)
		return failed("serve", s->opt.root, fd);
	weft_close(fd);
	return 0;
}

static int
open_log(struct server *s)
{
	s->log_fd = -1;
	if (!s->opt.log)
		return 0;
	s->log_fd = !strcmp(s->opt.log, "-") ? 1 : sys_open_log(s->opt.log);
	return s->log_fd < 0 ? failed("write", s->opt.log, s->log_fd) : 0;
}

static int
listen_on(struct server *s)
{
	bool v6 = strchr(s->opt.bind, ':') && s->opt.bind[0] != '[';
	char address[300];
	int n = snprintf(address, sizeof(address), v6 ? "[%s]:%s" : "%s:%s", s->opt.bind, s->opt.port);

	if (n < 0 || (size_t)n >= sizeof(address))
		return failed("listen on", s->opt.bind, -ENAMETOOLONG);
	s->listen_fd = weft_listen("tcp", address, 0);
	if (s->listen_fd == -ENOENT) {
		say("cannot listen on %s: no such address", address);
		return 1;
	}
	if (s->listen_fd < 0)
		return failed("listen on", address, s->listen_fd);
	s->drain_fd = sys_dup(s->listen_fd);
	return s->drain_fd < 0 ? failed("listen on", address, s->drain_fd) : 0;
}

int
server_start(struct server *s)
{
	int r;

	if ((r = open_root(s)) || (r = open_log(s)) || (r = listen_on(s)))
		return r;
	r = sys_local_port(s->listen_fd, &s->port);
	if (r < 0)
		return failed("listen on", s->opt.bind, r);
	s->reserve_fd = sys_open_reserve();
	weft_waitgroup_add(&s->acceptor, 1);
	r = weft_go(accept_run, s);
	return r < 0 ? failed("start", "a goroutine", r) : 0;
}

/*
 * Takes in who has connected already. The acceptor is waiting in weft_accept() on
 * listen_fd: closing that descriptor ends its wait, while the socket lives on through
 * drain_fd, and no client is lost between the two.
 */
static void
drain_backlog(struct server *s)
{
	int64_t until = weft_in(SECOND);
	int fd;

	sys_refuse_new_connections(s->drain_fd);	/* may fail: then the queue may never end */
	weft_close(s->listen_fd);
	weft_waitgroup_wait(&s->acceptor, WEFT_FOREVER);
	do {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);

		fd = weft_accept(s->drain_fd, (struct sockaddr *)&from, &len, weft_in(HANDSHAKE_NS));
		if (fd >= 0)
			welcome(s, fd, (struct sockaddr *)&from, len);
	} while ((fd >= 0 || fd == -ECONNABORTED) && weft_now() < until);
	weft_close(s->drain_fd);
}

int
server_stop(struct server *s)
{
	int64_t deadline = weft_in(s->opt.stop_ns);
	int64_t crossing;

	atomic_store(&s->stopping, true);
	server_close_idle(s, weft_now() - SURELY_IDLE_NS);
	drain_backlog(s);

	/* A connection that was busy a moment ago may have its next request on the way. */
	crossing = weft_in(CROSSING_NS);
	if (crossing > deadline)
		crossing = deadline;
	if (weft_waitgroup_wait(&s->conns_open, crossing) == 0)
		return 0;
	server_close_idle(s, WEFT_FOREVER);
	if (weft_waitgroup_wait(&s->conns_open, deadline) == 0)
		return 0;
	return atomic_load(&s->nconns);
}
