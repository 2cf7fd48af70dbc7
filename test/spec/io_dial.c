/*
 * Making connections: addresses in all their forms, deadlines, cancellation, names.
 */
#include "io_util.h"

#include "fds.h"
#include "goroutines.h"
#include <netdb.h>
#include <stddef.h>
#include <sys/un.h>

/* A user's typing error must be told from a server that is down. */
TEST(addresses_that_mean_nothing_are_refused)
{
	static const char *const bad[][2] = {
	    {"tcp", ""},
	    {"tcp", "127.0.0.1"},
	    {"tcp", "::1:80"},
	    {"tcp", "[[]:80"},
	    {"tcp", "a]:80"},
	    {"tcp", "[::1]"},
	    {"tcp", "[::1:80"},
	    {"tcp", "[]:80"},
	    {"tcp", "127.0.0.1:65536"},
	    {"tcp", "127.0.0.1:-1"},
	    {"tcp", "127.0.0.1:80 "},
	    {"tcp", " 127.0.0.1:80"},
	    {"tcp", "127.0.0.1:99999999999999"},
	    {"tcp", "a b:80"},
	    {"tcp4", "[::1]:80:80"},
	    {"tcp5", "127.0.0.1:80"},
	    {"", ":80"},
	    {"TCP", ":80"},
	    {"unix", ""},
	    {"unix", "@"},
	};
	char long_path[200], long_name[400];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int r = weft_dial(bad[i][0], bad[i][1], soon());

		if (r != -EINVAL)
			FAIL("dial %s \"%s\" returned %d", bad[i][0], bad[i][1], r);
		r = weft_listen(bad[i][0], bad[i][1], 0);
		if (r != -EINVAL)
			FAIL("listen %s \"%s\" returned %d", bad[i][0], bad[i][1], r);
	}
	memset(long_path, 'p', sizeof(long_path));
	long_path[108] = '\0';
	EXPECT_EQ(weft_listen("unix", long_path, 0), -EINVAL);
	memset(long_name, 'n', sizeof(long_name));
	strcpy(long_name + 300, ":80");
	EXPECT_EQ(weft_dial("tcp", long_name, soon()), -EINVAL);
	EXPECT_EQ(weft_dial(NULL, ":80", soon()), -EINVAL);
	EXPECT_EQ(weft_dial("tcp", NULL, soon()), -EINVAL);
	EXPECT_EQ(weft_listen("udp", ":0", 0), -EINVAL);
}

static void
expect_connects(const char *network, const char *address, int listener)
{
	int client = weft_dial(network, address, soon()), fd;
	char c;

	if (client < 0)
		FAIL("dial %s %s: %s", network, address, strerror(-client));
	fd = weft_accept(listener, NULL, NULL, soon());
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_write(fd, "x", 1, soon()), 1);
	EXPECT_EQ(weft_read(client, &c, 1, soon()), 1);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_close(client), 0);
}

static bool
has_ipv6(void)
{
	int fd = weft_listen("tcp6", "[::1]:0", 0);

	return fd >= 0 && weft_close(fd) == 0;
}

/* ":80" is reached from everywhere, by both families; a single one only by its own. */
TEST(listeners_are_reached_by_the_addresses_they_name)
{
	static const struct {
		const char *network, *address;
		bool by4, by6;
	} l[] = {
	    {"tcp", ":0", true, true},
	    {"tcp", "0.0.0.0:0", true, false},
	    {"tcp", "[::]:0", true, true},
	    {"tcp4", ":0", true, false},
	    {"tcp6", ":0", false, true},
	    {"tcp", "127.0.0.1:0", true, false},
	    {"tcp", "[::1]:0", false, true},
	    {"tcp", "localhost:0", true, false},
	};
	bool six = has_ipv6();

	for (size_t i = 0; i < sizeof(l) / sizeof(*l); i++) {
		int fd = weft_listen(l[i].network, l[i].address, 0), port;
		char to4[32], to6[32], both[32];

		if (!six && !l[i].by4)
			continue;
		if (fd < 0)
			FAIL("listen %s %s: %s", l[i].network, l[i].address, strerror(-fd));
		port = port_of(fd);
		snprintf(to4, sizeof(to4), "127.0.0.1:%d", port);
		snprintf(to6, sizeof(to6), "[::1]:%d", port);
		snprintf(both, sizeof(both), ":%d", port);
		if (l[i].by4)
			expect_connects("tcp", to4, fd);
		if (l[i].by6 && six)
			expect_connects("tcp6", to6, fd);
		if (six && !l[i].by6)
			EXPECT_EQ(weft_dial("tcp", to6, soon()), -ECONNREFUSED);
		if (!l[i].by4)
			EXPECT_EQ(weft_dial("tcp", to4, soon()), -ECONNREFUSED);
		expect_connects("tcp", both, fd);
		/* Taken is taken. */
		EXPECT_EQ(weft_listen(l[i].network, l[i].by4 ? to4 : to6, 0), -EADDRINUSE);
		EXPECT_EQ(weft_close(fd), 0);
	}
}

/* A server that restarts finds its port free, though connections of before linger. */
TEST(a_port_can_be_listened_on_again_at_once)
{
	char address[32], c;
	int fd = listen_local(address), client = weft_dial("tcp", address, soon());
	int served = weft_accept(fd, NULL, NULL, soon());

	EXPECT_EQ(weft_close(served), 0); /* the server's end goes into TIME_WAIT */
	EXPECT_EQ(weft_read(client, &c, 1, soon()), 0);
	EXPECT_EQ(weft_close(client), 0);
	EXPECT_EQ(weft_close(fd), 0);
	fd = weft_listen("tcp", address, 0);
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_close(fd), 0);
}

/* SCENARIOS 235. Paths are files, abstract names are none. */
TEST(unix_sockets_have_paths_and_abstract_names)
{
	char path[64], name[64];
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int fd, again;

	snprintf(path, sizeof(path), "/tmp/weft_io_dial_%d", getpid());
	snprintf(name, sizeof(name), "@weft_io_dial_%d", getpid());
	fd = weft_listen("unix", path, 0);
	EXPECT(fd >= 0);
	expect_connects("unix", path, fd);
	EXPECT_EQ(getsockname(fd, (struct sockaddr *)&un, &len), 0);
	EXPECT_STR(un.sun_path, path);
	EXPECT_EQ(weft_listen("unix", path, 0), -EADDRINUSE);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_dial("unix", path, soon()), -ECONNREFUSED);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(weft_dial("unix", path, soon()), -ENOENT);
	fd = weft_listen("unix", name, 0);
	EXPECT(fd >= 0);
	expect_connects("unix", name, fd);
	len = sizeof(un);
	EXPECT_EQ(getsockname(fd, (struct sockaddr *)&un, &len), 0);
	EXPECT_EQ(un.sun_path[0], '\0');
	EXPECT_EQ(len, offsetof(struct sockaddr_un, sun_path) + strlen(name));
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_dial("unix", name, soon()), -ECONNREFUSED);
	again = weft_listen("unix", name, 0);
	EXPECT(again >= 0);
	EXPECT_EQ(weft_close(again), 0);
}

/*
 * A Unix listener whose queue is full refuses a non-blocking connect with EAGAIN, and never tells
 * when there is room. Whoever dials must wait for it all the same, and not for ever.
 */
struct dial {
	const char *network, *address;
	int64_t deadline;
	int r;
};

static void
dial_it(void *arg)
{
	struct dial *d = arg;

	d->r = weft_dial(d->network, d->address, d->deadline);
}

TEST(a_dial_waits_while_a_unix_listeners_queue_is_full)
{
	weft_waitgroup wg = {0};
	char name[64];
	int fd, clients[3], n = 0;

	snprintf(name, sizeof(name), "@weft_io_full_%d", getpid());
	fd = weft_listen("unix", name, 1);
	while (n < 3 && (clients[n] = weft_dial("unix", name, weft_in(20 * MS))) >= 0)
		n++;
	EXPECT(n > 0 && n < 3);
	EXPECT_EQ(clients[n], -ETIMEDOUT);
	EXPECT_EQ(weft_dial("unix", name, WEFT_NOW), -ETIMEDOUT);

	struct dial d = {.network = "unix", .address = name, .deadline = soon()};

	EXPECT_EQ(weft_waitgroup_go(&wg, dial_it, &d), 0);
	let_run();
	for (int i = 0; i <= n; i++) {
		int served = weft_accept(fd, NULL, NULL, soon());

		EXPECT(served >= 0);
		EXPECT_EQ(weft_close(served), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	EXPECT(d.r >= 0);
	EXPECT_EQ(weft_close(d.r), 0);
	while (n-- > 0)
		EXPECT_EQ(weft_close(clients[n]), 0);
	EXPECT_EQ(weft_close(fd), 0);
}

/* SCENARIOS 227. */
TEST(a_closed_port_of_this_machine_fails_fast)
{
	int64_t start = weft_now();
	char address[32];

	EXPECT_EQ(weft_close(listen_local(address)), 0);
	for (int i = 0; i < 100; i++) {
		int r = weft_dial("tcp", address, soon());

		if (r != -ECONNREFUSED)
			FAIL("dial to a closed port: %d", r);
	}
	EXPECT(weft_now() - start < 20 * SEC * test_scale());
}

/*
 * A listener that accepts nothing and whose queue is full: the kernel drops what comes, so a
 * connection to it takes for ever, without any network that could answer otherwise.
 */
static int
black_hole(char address[32], int fill[8])
{
	int fd = weft_listen("tcp", "127.0.0.1:0", 1);

	EXPECT(fd >= 0);
	snprintf(address, 32, "127.0.0.1:%d", port_of(fd));
	for (int i = 0; i < 8; i++)
		fill[i] = weft_dial("tcp", address, weft_in(20 * MS));
	EXPECT_EQ(fill[7], -ETIMEDOUT);
	return fd;
}

static void
close_black_hole(int fd, int fill[8])
{
	for (int i = 0; i < 8; i++)
		if (fill[i] >= 0)
			EXPECT_EQ(weft_close(fill[i]), 0);
	EXPECT_EQ(weft_close(fd), 0);
}

/* SCENARIOS 208. */
TEST(a_dial_that_gets_no_answer_ends_at_its_deadline)
{
	char address[32];
	int fill[8], hole = black_hole(address, fill), before = open_fds();

	EXPECT_EQ(weft_dial("tcp", address, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(weft_dial("tcp", address, weft_in(-5 * SEC)), -ETIMEDOUT);
	for (int i = 0; i < 2; i++) {
		int64_t end = weft_in(100 * MS);

		EXPECT_EQ(weft_dial("tcp", address, end), -ETIMEDOUT);
		EXPECT(weft_now() >= end);
		EXPECT(weft_now() < end + 10 * SEC * test_scale());
	}
	expect_open(before);
	close_black_hole(hole, fill);
}

/* SCENARIOS 208. Nor may a deadline so far away that sums of it overflow end a dial at once. */
TEST(a_dial_has_as_long_as_there_is_time)
{
	static const int64_t far[] = {INT64_MAX - 1, INT64_MAX / 2, WEFT_FOREVER};
	char address[32];
	int listener = listen_local(address);

	for (int i = 0; i < 3; i++) {
		int fd = weft_dial("tcp", address, far[i]);

		EXPECT(fd >= 0);
		EXPECT_EQ(weft_close(fd), 0);
	}
	EXPECT_EQ(weft_close(listener), 0);
}

/* SCENARIOS 224. Cancelled, before it is connected and just as it is: an error or a socket, never
 * both. */
static int
dial_in_scope(void *arg)
{
	dial_it(arg);
	return 0;
}

TEST(a_cancelled_dial_returns_soon_and_leaks_nothing)
{
	char address[32], open_address[32];
	int fill[8], hole = black_hole(address, fill), listener = listen_local(open_address);
	int before = open_fds();
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	struct dial d = {.network = "tcp", .address = address, .deadline = WEFT_FOREVER};
	int64_t start;

	EXPECT_EQ(weft_scope_go(s, dial_in_scope, &d), 0);
	let_run();
	start = weft_now();
	weft_scope_cancel(s, -ECANCELED);
	weft_scope_free(s);
	EXPECT(weft_now() - start < 10 * SEC * test_scale());
	EXPECT_EQ(d.r, -ECANCELED);
	for (int i = 0; i < 200; i++) {
		s = weft_scope_new(NULL, WEFT_FOREVER);
		d = (struct dial){.network = "tcp", .address = open_address, .deadline = soon()};
		EXPECT_EQ(weft_scope_go(s, dial_in_scope, &d), 0);
		for (int k = i % 3; k > 0; k--)
			weft_yield();
		weft_scope_cancel(s, -ECANCELED);
		weft_scope_free(s);
		EXPECT(d.r >= 0 || d.r == -ECANCELED);
		if (d.r >= 0)
			EXPECT_EQ(weft_close(d.r), 0);
	}
	expect_open(before);
	EXPECT_EQ(weft_close(listener), 0);
	close_black_hole(hole, fill);
}

/* A blocking socket of somebody else's is connected without blocking, and stays blocking. */
TEST(connect_keeps_deadlines_on_blocking_sockets_too)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char address[32];
	int fill[8], hole = black_hole(address, fill), listener = listen_local(address), fd;
	int64_t end;

	to.sin_port = htons((uint16_t)port_of(hole));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	end = weft_in(30 * MS);
	EXPECT_EQ(weft_connect(fd, (struct sockaddr *)&to, sizeof(to), end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	/* It goes on connecting, and a second call goes on waiting. */
	EXPECT_EQ(
	    weft_connect(fd, (struct sockaddr *)&to, sizeof(to), weft_in(30 * MS)), -ETIMEDOUT);
	EXPECT_EQ(weft_close(fd), 0);

	to.sin_port = htons((uint16_t)port_of(listener));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(weft_connect(fd, (struct sockaddr *)&to, sizeof(to), soon()), 0);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	/* As connect(2): the first call after the connection was made says so once more. */
	(void)weft_connect(fd, (struct sockaddr *)&to, sizeof(to), soon());
	EXPECT_EQ(weft_connect(fd, (struct sockaddr *)&to, sizeof(to), soon()), -EISCONN);
	EXPECT_EQ(weft_close(fd), 0);
	EXPECT_EQ(weft_close(listener), 0);
	close_black_hole(hole, fill);
}

/* Names: the one that is in every hosts file, and one that RFC 6761 says never exists. */
TEST(names_are_looked_up)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *res = NULL;
	char address[32], by_name[32];
	int listener = listen_local(address);

	EXPECT_EQ(weft_lookup("localhost", "http", &hints, &res, soon()), 0);
	EXPECT(res != NULL && res->ai_family == AF_INET);
	EXPECT_EQ(ntohs(((struct sockaddr_in *)(void *)res->ai_addr)->sin_port), 80);
	freeaddrinfo(res);
	EXPECT_EQ(weft_lookup("127.0.0.1", "8080", &hints, &res, WEFT_NOW), 0); /* asks nobody */
	EXPECT_EQ(ntohs(((struct sockaddr_in *)(void *)res->ai_addr)->sin_port), 8080);
	freeaddrinfo(res);
	EXPECT_EQ(weft_lookup(NULL, "8080", NULL, &res, WEFT_NOW), 0);
	freeaddrinfo(res);
	hints.ai_family = AF_INET6;
	EXPECT_EQ(weft_lookup("127.0.0.1", "80", &hints, &res, soon()), -ENOENT);
	hints.ai_family = 12345;
	EXPECT_EQ(weft_lookup("localhost", "80", &hints, &res, soon()), -EINVAL);
	EXPECT_EQ(weft_lookup("localhost", "no-such-service", NULL, &res, soon()), -EINVAL);
	EXPECT_EQ(weft_lookup("localhost", "80", NULL, &res, WEFT_NOW), -ETIMEDOUT);
	snprintf(by_name, sizeof(by_name), "localhost:%d", port_of(listener));
	expect_connects("tcp", by_name, listener); /* ::1 is refused if it comes first */
	expect_connects("tcp4", by_name, listener);
	EXPECT_EQ(weft_close(listener), 0);
}

/* Without a name server the answer is "try later" or none; with one it is "no such name". */
TEST(names_that_do_not_exist_are_told_so)
{
	struct addrinfo *res = NULL;
	int r = weft_lookup("weft.invalid", "80", NULL, &res, weft_in(3 * SEC));

	if (r != -ENOENT && r != -EAGAIN && r != -ETIMEDOUT)
		FAIL("lookup of weft.invalid: %d", r);
	r = weft_dial("tcp", "weft.invalid:80", weft_in(3 * SEC));
	if (r != -ENOENT && r != -EAGAIN && r != -ETIMEDOUT)
		FAIL("dial of weft.invalid: %d", r);
}

/*
 * SCENARIOS 240. More lookups than helpers, all cancelled at once: they return early, the helpers
 * throw the answers away, and nobody is left.
 */
static int
lookup_in_scope(void *arg)
{
	struct addrinfo *res;
	int r = weft_lookup("localhost", "80", NULL, &res, WEFT_FOREVER);

	(void)arg;
	EXPECT(r == 0 || r == -ECANCELED);
	if (r == 0)
		freeaddrinfo(res);
	return 0;
}

TEST(cancelled_lookups_return_and_leave_nobody_behind)
{
	int before = weft_numgoroutine();

	for (int round = 0; round < 10; round++) {
		weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

		for (int i = 0; i < 100; i++)
			EXPECT_EQ(weft_scope_go(s, lookup_in_scope, NULL), 0);
		for (int i = 0; i < round; i++)
			weft_yield();
		weft_scope_cancel(s, -ECANCELED);
		weft_scope_free(s);
	}
	expect_goroutines(before);	/* the helpers finish what they began */
}
