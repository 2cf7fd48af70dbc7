/*
 * Every wait of I/O ends when its scope is cancelled: read, write and their kin, accept, connect,
 * dial, poll, lookup. The waits of channels, locks and time are in scope_waits.c.
 */
#include "io_util.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* What the waits wait for: nothing ever comes. */
struct nothing {
	int empty[2];		/* nobody writes */
	int full[2];		/* nobody reads */
	int listener;		/* nobody connects */
	int hole;		/* a full queue of connections: nobody accepts */
	int fill[8];
	char hole_address[32];
	struct sockaddr_in hole_sockaddr;
	_Atomic int entered, ended;
};

static char byte[1];
static struct iovec one_byte[1] = { { byte, 1 } };
static struct msghdr message = { .msg_iov = one_byte, .msg_iovlen = 1 };

static int
connect_to_hole(struct nothing *n, int64_t deadline)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	EXPECT(fd >= 0);
	r = weft_connect(fd, (struct sockaddr *)&n->hole_sockaddr, sizeof(n->hole_sockaddr),
	    deadline);
	EXPECT_EQ(weft_close(fd), 0);
	return r;
}

static int
look_up(int64_t deadline)
{
	static atomic_int n;
	struct addrinfo *res;
	char name[64];

	/* Another each time, or it would join a lookup of the round before and get its answer. */
	snprintf(name, sizeof(name), "name%d.that.nobody.knows", atomic_fetch_add(&n, 1));
	return weft_lookup(name, "80", NULL, &res, deadline);
}

enum { WAITS = 15 };

static ssize_t
wait_kind(struct nothing *n, int kind, int64_t d)
{
	int in = n->empty[0], out = n->full[0];

	switch (kind) {
	case 0:
		return weft_read(in, byte, 1, d);
	case 1:
		return weft_readv(in, one_byte, 1, d);
	case 2:
		return weft_recv(in, byte, 1, 0, d);
	case 3:
		return weft_recvfrom(in, byte, 1, 0, NULL, NULL, d);
	case 4:
		return weft_recvmsg(in, &message, 0, d);
	case 5:
		return weft_poll(in, POLLIN, d);
	case 6:
		return weft_write(out, byte, 1, d);
	case 7:
		return weft_writev(out, one_byte, 1, d);
	case 8:
		return weft_send(out, byte, 1, 0, d);
	case 9:
		return weft_sendto(out, byte, 1, 0, NULL, 0, d);
	case 10:
		return weft_sendmsg(out, &message, 0, d);
	case 11:
		return weft_accept(n->listener, NULL, NULL, d);
	case 12:
		return connect_to_hole(n, d);
	case 13:
		return weft_dial("tcp", n->hole_address, d);
	default:
		return look_up(d);
	}
}

/* ---- A resolver that never answers, in place of libc's ---- */

static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t may_answer = PTHREAD_COND_INITIALIZER;
static bool answers;

int
getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res)
{
	(void)host;
	(void)service;
	(void)hints;
	(void)res;
	pthread_mutex_lock(&answer_lock);
	while (!answers)
		pthread_cond_wait(&may_answer, &answer_lock);
	pthread_mutex_unlock(&answer_lock);
	return EAI_NONAME;
}

static void
let_answer(bool yes)
{
	pthread_mutex_lock(&answer_lock);
	answers = yes;
	pthread_cond_broadcast(&may_answer);
	pthread_mutex_unlock(&answer_lock);
}

/* ---- The waits ---- */

struct one_wait {
	struct nothing *n;
	int kind;
};

static int
do_wait(void *arg)
{
	struct one_wait *o = arg;
	ssize_t r;

	atomic_fetch_add(&o->n->entered, 1);
	r = wait_kind(o->n, o->kind, WEFT_FOREVER);
	atomic_fetch_add(&o->n->ended, 1);
	if (r != -ECANCELED)
		FAIL("wait %d ended with %zd", o->kind, r);
	r = wait_kind(o->n, o->kind, weft_in(3600 * SEC));
	if (r != -ECANCELED)
		FAIL("wait %d after the cancellation ended with %zd", o->kind, r);
	return 0;
}

static void
set_up(struct nothing *n)
{
	socklen_t len = sizeof(n->hole_sockaddr);
	char address[32];

	atomic_store(&n->entered, 0);
	atomic_store(&n->ended, 0);
	tcp_pair(n->empty);
	stream_pair(UNIX_SOCKET, n->full);	/* TCP makes room again by itself */
	fill_up(n->full[0]);
	n->listener = listen_local(address);
	n->hole = weft_listen("tcp", "127.0.0.1:0", 1);
	EXPECT(n->hole >= 0);
	EXPECT_EQ(getsockname(n->hole, (struct sockaddr *)&n->hole_sockaddr, &len), 0);
	snprintf(n->hole_address, sizeof(n->hole_address), "127.0.0.1:%d", port_of(n->hole));
	for (int i = 0; i < 8; i++)
		n->fill[i] = weft_dial("tcp", n->hole_address, weft_in(20 * MS));
	EXPECT_EQ(n->fill[7], -ETIMEDOUT);
}

static void
take_down(struct nothing *n)
{
	for (int i = 0; i < 8; i++)
		if (n->fill[i] >= 0)
			EXPECT_EQ(weft_close(n->fill[i]), 0);
	EXPECT_EQ(weft_close(n->hole), 0);
	EXPECT_EQ(weft_close(n->listener), 0);
	close_pair(n->empty);
	close_pair(n->full);
}

/* settle: all wait when the cancellation comes; else they are anywhere on their way. */
static void
waits_end(struct nothing *n, bool settle)
{
	struct one_wait one[WAITS];
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	atomic_store(&n->entered, 0);
	atomic_store(&n->ended, 0);
	let_answer(false);
	for (int i = 0; i < WAITS; i++) {
		one[i] = (struct one_wait){ n, i };
		EXPECT_EQ(weft_scope_go(s, do_wait, &one[i]), 0);
	}
	while (settle && atomic_load(&n->entered) < WAITS)
		weft_yield();
	if (settle) {
		weft_sleep(20 * MS);
		EXPECT_EQ(atomic_load(&n->ended), 0);
	}
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	EXPECT_EQ(atomic_load(&n->ended), WAITS);
	weft_scope_free(s);
	let_answer(true);
}

/* A handler that hangs in one of them after its request was cancelled hangs for ever. */
TEST(every_wait_of_io_ends)
{
	static const int procs[] = { 1, 2, 4 };
	struct nothing n;

	set_up(&n);
	for (int i = 0; i < 3; i++) {
		weft_gomaxprocs(procs[i]);
		waits_end(&n, true);
		for (int k = 0; k < 10; k++)
			waits_end(&n, false);
	}
	take_down(&n);
}
