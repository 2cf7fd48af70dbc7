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

/*
 * While stopping: a connection is closed once it has been idle for so long, because a
 * client that was answered just now may have its next request on the way. And how
 * often we look for such connections.
 */
#define CROSSING_NS (500 * MILLISECOND)
#define LOOK_NS (20 * MILLISECOND)

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

/*
 * The end is brought about by shutting the socket for reading: its goroutine, which
 * waits for a request, then reads what has arrived already, or the end.
 *
 * A client whose last answer is still on its way is not idle, however long its goroutine
 * has been waiting; its time begins anew.
 */
int
server_close_idle(struct server *s, int64_t before)
{
	int n = 0;

	/* Under the lock c->fd is the connection's: it is closed after server_remove(). */
	weft_mutex_lock(&s->lock);
	for (struct conn *c = s->conns; c; c = c->next) {
		int64_t since = atomic_load_explicit(&c->idle_since, memory_order_relaxed);

		if (since == 0 || since > before)
			continue;
		if (sys_unsent(c->fd) > 0) {
			/* Unless it has become busy in the meantime, which counts more. */
			atomic_compare_exchange_strong(&c->idle_since, &since, weft_now());
			continue;
		}
		sys_shutdown(c->fd, SHUT_RD);
		n++;
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

	if (weft_send(fd, too_busy, too_busy_len, 0, deadline) > 0 &&
	    sys_shutdown(fd, SHUT_WR) == 0) {
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
	/* Without a handshake there are no words that a client of HTTPS would understand. */
	if (s->tls || weft_go(refuse, (void *)(intptr_t)fd) < 0)
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
			if (s->tls)
				weft_close(fd);
			else
				refuse((void *)(intptr_t)fd);
		}
	}
	/* Somebody else may have been faster; then we try again the next time. */
	s->reserve_fd = sys_open_reserve();
	weft_sleep(SHORTAGE_NS);
}

/* Accepts one client, or does what its failure asks for. As weft_accept(). */
static int
accept_one(struct server *s, int64_t deadline)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd = weft_accept(s->listen_fd, (struct sockaddr *)&from, &len, deadline);

	if (fd >= 0) {
		welcome(s, fd, (struct sockaddr *)&from, len);
		return fd;
	}
	switch (fd) {
	case -ECANCELED:	/* server_stop() */
	case -ETIMEDOUT:
	case -ECONNABORTED:	/* it was gone before we came: no matter */
		break;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		accept_short(s, fd);
		break;
	default:
		say("accept: %s", strerror(-fd));
		weft_sleep(SHORTAGE_NS);
	}
	return fd;
}

static int
accept_run(void *arg)
{
	struct server *s = arg;

	/* Once its scope is cancelled only waits end: what can go at once still would. */
	while (!atomic_load(&s->stopping))
		accept_one(s, WEFT_FOREVER);
	return 0;
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
	int n = snprintf(address, sizeof(address), v6 ? "[%s]:%s" : "%s:%s", s->opt.bind,
	    s->opt.port);

	if (n < 0 || (size_t)n >= sizeof(address))
		return failed("listen on", s->opt.bind, -ENAMETOOLONG);
	s->listen_fd = weft_listen("tcp", address, 0);
	if (s->listen_fd == -ENOENT) {
		say("cannot listen on %s: no such address", address);
		return 1;
	}
	return s->listen_fd < 0 ? failed("listen on", address, s->listen_fd) : 0;
}

int
server_start(struct server *s)
{
	int r;

	if ((r = open_root(s)) || (r = open_log(s)) || (r = wire_start(s)) || (r = listen_on(s)))
		return r;
	r = sys_local_port(s->listen_fd, &s->port);
	if (r < 0)
		return failed("listen on", s->opt.bind, r);
	s->reserve_fd = sys_open_reserve();
	s->accepting = weft_scope_new(NULL, WEFT_FOREVER);
	r = s->accepting ? weft_scope_go(s->accepting, accept_run, s) : -ENOMEM;
	return r < 0 ? failed("start", "a goroutine", r) : 0;
}

/* Ends the acceptor, takes in who has connected already, and closes the door. */
static void
close_door(struct server *s)
{
	int64_t until = weft_in(SECOND);
	int r;

	/* If the system will not let us do this, the queue may never end: hence the limit. */
	sys_refuse_new_connections(s->listen_fd);
	/* Ends its wait in weft_accept(). Connections are not in that scope: they go on. */
	weft_scope_cancel(s->accepting, -ECANCELED);
	weft_scope_free(s->accepting);
	do
		r = accept_one(s, weft_in(HANDSHAKE_NS));
	while (r != -ETIMEDOUT && weft_now() < until);
	weft_close(s->listen_fd);
}

int
server_stop(struct server *s)
{
	int64_t deadline = weft_in(s->opt.stop_ns);

	atomic_store(&s->stopping, true);
	server_close_idle(s, weft_now() - CROSSING_NS);
	close_door(s);
	while (weft_now() < deadline) {
		int64_t look = weft_in(LOOK_NS);

		server_close_idle(s, weft_now() - CROSSING_NS);
		if (weft_waitgroup_wait(&s->conns_open, look < deadline ? look : deadline) == 0)
			return 0;
	}
	return atomic_load(&s->nconns);
}
