/*
 * Accepting connections: by many goroutines, in bursts, with connections that fail before they
 * are taken, and without descriptors left.
 */
#include "io_util.h"

#include "child.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct accepter {
	int listener;
	_Atomic int *served;
	int r;
};

/* Serves one byte to everyone it gets, until the listener is closed. */
static void
serve_all(void *arg)
{
	struct accepter *a = arg;

	while ((a->r = weft_accept(a->listener, NULL, NULL, WEFT_FOREVER)) >= 0) {
		++*a->served;
		EXPECT_EQ(weft_write(a->r, "s", 1, soon()), 1);
		EXPECT_EQ(weft_close(a->r), 0);
	}
}

struct client {
	const char *address;
};

static void
be_served(void *arg)
{
	struct client *cl = arg;
	int fd = weft_dial("tcp", cl->address, soon());
	char c;

	if (fd < 0)
		FAIL("dial: %s", strerror(-fd));
	EXPECT_EQ(weft_read(fd, &c, 1, soon()), 1);
	EXPECT_EQ(c, 's');
	EXPECT_EQ(weft_read(fd, &c, 1, soon()), 0);
	EXPECT_EQ(weft_close(fd), 0);
}

/* SCENARIOS 230. A connection served twice, or by nobody, is a request lost. */
TEST(many_accepters_serve_each_connection_once)
{
	struct accepter a[10];
	weft_waitgroup servers = {0}, clients = {0};
	_Atomic int served = 0;
	char address[32];
	struct client cl = {address};
	int listener = listen_local(address);

	for (int i = 0; i < 10; i++) {
		a[i] = (struct accepter){.listener = listener, .served = &served};
		EXPECT_EQ(weft_waitgroup_go(&servers, serve_all, &a[i]), 0);
	}
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(weft_waitgroup_go(&clients, be_served, &cl), 0);
	EXPECT_EQ(weft_waitgroup_wait(&clients, weft_in(40 * SEC * test_scale())), 0);
	EXPECT_EQ(served, 200);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_waitgroup_wait(&servers, soon()), 0);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(a[i].r, -EBADF);
}

/*
 * Catalogue 65. With edge-triggered events a burst is one event. Whoever takes one connection of
 * it and waits again leaves the rest in the queue for ever.
 */
TEST(a_burst_of_connections_is_served_to_the_last)
{
	static int fd[1000];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	weft_waitgroup wg = {0};
	_Atomic int served = 0;
	char address[32], c;
	int n = 1000 / test_scale(), listener = listen_local(address);
	struct accepter a = {.listener = listener, .served = &served};

	to.sin_port = htons((uint16_t)port_of(listener));
	EXPECT_EQ(weft_waitgroup_go(&wg, serve_all, &a), 0);
	let_run();
	/* Plain connects from one thread, without a gap. */
	for (int i = 0; i < n; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		EXPECT_EQ(connect(fd[i], (struct sockaddr *)&to, sizeof(to)), 0);
	}
	for (int i = 0; i < n; i++) {
		EXPECT_EQ(weft_read(fd[i], &c, 1, soon()), 1);
		EXPECT_EQ(weft_close(fd[i]), 0);
	}
	EXPECT_EQ(served, n);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
}

/* What a server relies on without asking for it. */
TEST(accepted_sockets_are_as_promised)
{
	struct sockaddr_in from = {0};
	socklen_t len = sizeof(from), optlen = sizeof(int);
	char address[32];
	int listener = listen_local(address), client, fd, value = 0;

	EXPECT_EQ(weft_accept(listener, NULL, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_accept(listener, NULL, NULL, weft_in(10 * MS)), -ETIMEDOUT);
	client = weft_dial("tcp", address, soon());
	fd = weft_accept(listener, (struct sockaddr *)&from, &len, soon());
	EXPECT(client >= 0 && fd >= 0);
	EXPECT_EQ(ntohs(from.sin_port), port_of(client));
	int all[3] = {listener, client, fd};

	for (int i = 0; i < 3; i++) {
		EXPECT(fcntl(all[i], F_GETFL) & O_NONBLOCK);
		EXPECT(fcntl(all[i], F_GETFD) & FD_CLOEXEC);
	}
	for (int i = 1; i < 3; i++) {
		EXPECT_EQ(getsockopt(all[i], IPPROTO_TCP, TCP_NODELAY, &value, &optlen), 0);
		EXPECT(value != 0);
	}
	EXPECT_EQ(getsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &value, &optlen), 0);
	EXPECT(value != 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(weft_close(all[i]), 0);
	EXPECT_EQ(weft_accept(0, NULL, NULL, WEFT_NOW), -ENOTSOCK);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_EQ(weft_accept(fd, NULL, NULL, WEFT_NOW), -EOPNOTSUPP);
	EXPECT_EQ(weft_close(fd), 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(weft_accept(fd, NULL, NULL, WEFT_NOW), -EINVAL);
	EXPECT_EQ(weft_close(fd), 0);
}

/* SCENARIOS 222. A client that is gone before it was accepted is not the listener's fault. */
TEST(connections_reset_before_they_are_accepted_do_no_harm)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	weft_waitgroup wg = {0};
	_Atomic int served = 0;
	char address[32];
	int listener = listen_local(address);
	struct accepter a = {.listener = listener, .served = &served};
	struct client cl = {address};

	for (int i = 0; i < 20; i++) {
		int fd = weft_dial("tcp", address, soon());

		EXPECT(fd >= 0);
		EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
		EXPECT_EQ(weft_close(fd), 0);
	}
	/* Linux hands them out, closed. So a byte cannot be sent, and that is all. */
	for (int i = 0; i < 20; i++) {
		int fd = weft_accept(listener, NULL, NULL, soon());
		char c;

		EXPECT(fd >= 0);
		EXPECT(weft_read(fd, &c, 1, soon()) <= 0);
		EXPECT_EQ(weft_close(fd), 0);
	}
	EXPECT_EQ(weft_waitgroup_go(&wg, serve_all, &a), 0);
	be_served(&cl);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
}

/*
 * Catalogue 69. Without a descriptor for it a connection cannot be taken. The server must be told,
 * must not burn the processor, and must go on when there are descriptors again.
 */
TEST(accept_says_emfile_and_works_again_later)
{
	struct rlimit old, low;
	char address[32];
	int listener = listen_local(address), client = weft_dial("tcp", address, soon()), fd, spare;

	EXPECT(client >= 0);
	EXPECT_EQ(weft_poll(listener, 1 /* POLLIN */, soon()), 1); /* and so the poller is on */
	EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	spare = dup(0);
	EXPECT_EQ(close(spare), 0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	EXPECT_EQ(weft_accept(listener, NULL, NULL, soon()), -EMFILE);
	EXPECT_EQ(weft_accept(listener, NULL, NULL, soon()), -EMFILE);
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	fd = weft_accept(listener, NULL, NULL, soon());
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_close(client), 0);
	EXPECT_EQ(weft_close(listener), 0);
}

static int64_t
cpu_ns(void)
{
	struct rusage u;

	EXPECT_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SEC +
	    (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

/*
 * Catalogue 69. A server at its limit, with clients in the queue, which keeps on trying as its man
 * page says: it uses no processor to speak of, and serves all when there are descriptors again.
 */
static _Atomic bool had_emfile;

static void
serve_at_the_limit(void *arg)
{
	int listener = *(int *)arg, fd;

	while ((fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER)) != -EBADF) {
		if (fd == -EMFILE) {
			had_emfile = true;
			weft_sleep(5 * MS);
			continue;
		}
		EXPECT(fd >= 0);
		EXPECT_EQ(weft_write(fd, "s", 1, soon()), 1);
		EXPECT_EQ(weft_close(fd), 0);
	}
}

TEST(a_server_without_descriptors_burns_no_processor)
{
	enum { CLIENTS = 50 };
	struct rlimit old, low;
	weft_waitgroup wg = {0};
	char address[32], c;
	int listener = listen_local(address), client[CLIENTS], spare;
	int64_t cpu;

	for (int i = 0; i < CLIENTS; i++)
		EXPECT((client[i] = weft_dial("tcp", address, soon())) >= 0);
	EXPECT_EQ(weft_read(client[0], &c, 1, weft_in(1 * MS)), -ETIMEDOUT); /* the poller is on */
	EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	spare = dup(0);
	EXPECT_EQ(close(spare), 0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
	EXPECT_EQ(weft_waitgroup_go(&wg, serve_at_the_limit, &listener), 0);
	while (!had_emfile)
		weft_sleep(1 * MS);
	cpu = cpu_ns();
	weft_sleep(500 * MS);
	cpu = cpu_ns() - cpu;
	EXPECT(cpu < 100 * MS * test_scale()); /* a loop without a pause would take 500 */
	EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (int i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(weft_read(client[i], &c, 1, soon()), 1);
		EXPECT_EQ(weft_close(client[i]), 0);
	}
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
}

/*
 * Catalogue 70. accept(2) reports errors of the network that belong to a connection that never
 * was. A filter with a supervisor makes the kernel return each of them once.
 */
static const int transient[] = {ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET,
    EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EINTR};
#define TRANSIENT (sizeof(transient) / sizeof(*transient))

static _Atomic size_t injected;

static void *
inject(void *arg)
{
	int fd = *(int *)arg;

	for (;;) {
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};

		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
			continue;
		answer.id = call.id;
		if (injected < TRANSIENT)
			answer.error = -transient[injected++];
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	return NULL;
}

static void
accept_despite_errors(void *unused)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept4, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};
	weft_waitgroup wg = {0};
	_Atomic int served = 0;
	char address[32];
	struct client cl = {address};
	pthread_t supervisor;
	static int notify;

	(void)unused;
	/* Before weft has a thread, so that all get it. */
	EXPECT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	notify = (int)syscall(
	    SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (notify < 0)
		SKIP("no seccomp notifications here: %s", strerror(errno));
	EXPECT_EQ(pthread_create(&supervisor, NULL, inject, &notify), 0);

	struct accepter a = {.listener = listen_local(address), .served = &served};

	EXPECT_EQ(weft_waitgroup_go(&wg, serve_all, &a), 0);
	be_served(&cl);
	be_served(&cl);
	EXPECT_EQ(injected, TRANSIENT);
	EXPECT_EQ(served, 2);
	EXPECT_EQ(weft_close(a.listener), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT_EQ(a.r, -EBADF);
}

TEST(errors_of_a_connection_do_not_end_the_listener)
{
	struct child_result r = child_run(accept_despite_errors, NULL);

	if (r.status == 77)
		SKIP("%s", r.err);
	if (r.status != 0)
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	child_result_free(&r);
}
