/*
 * Names and dials in a world of the test's own: a network with nothing but its loopback, an /etc
 * with nothing but what is written here, and a name server that answers slowly, wrongly or not
 * at all. Each test is a child that enters it before it calls weft.
 */
#include "io_util.h"

#include "child.h"
#include "fds.h"
#include "goroutines.h"
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

/* ---- The world ---- */

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("%s: %s", path, strerror(errno));
	close(fd);
}

/* Root needs no more; others become root of a user namespace first. */
static void
enter_namespaces(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0)
		return;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
		FAIL("no namespaces can be had here: %s", strerror(errno));
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	write_file("/proc/self/gid_map", map);
}

static void
enter_world(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int fd;

	enter_namespaces();
	/* Private first: nothing of this may reach the machine's own /etc. */
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("weft-test", "/etc", "tmpfs", 0, NULL) != 0)
		FAIL("no /etc of our own: %s", strerror(errno));
	write_file("/etc/nsswitch.conf", "hosts: files dns\nservices: files\n");
	write_file("/etc/services", "http 80/tcp\nweft-echo 7007/tcp\n");
	write_file("/etc/hosts", "127.0.0.1 localhost\n127.0.0.5 weft-host weft-alias\n");
	write_file("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_EQ(ioctl(fd, SIOCGIFFLAGS, &lo), 0);
	lo.ifr_flags |= IFF_UP;
	EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
}

static void
run_in_world(void (*fn)(void *))
{
	struct child_options o = {.limit_ms = 50000 * test_scale()};
	struct child_result r = child_run_with(&o, fn, NULL);

	if (r.status != 0)
		FAIL("status %d, signal %d: %s", r.status, r.signal, r.err);
	child_result_free(&r);
}

/* ---- The name server ---- */

enum { TYPE_A = 1, TYPE_AAAA = 28 };

static const struct zone {
	const char *name;
	int code;		/* 0, 2 SERVFAIL, 3 NXDOMAIN, -1 no answer */
	int64_t delay_ns;
	const char *a[3];
	const char *aaaa;
} zones[] = {
    {"one.test", 0, 0, {"127.0.0.2"}, NULL},
    {"two.test", 0, 0, {"127.0.0.2", "127.0.0.3"}, NULL},
    {"mixed.test", 0, 0, {"127.0.0.3"}, "::1"},
    {"slow.test", 0, 200 * MS, {"127.0.0.4"}, NULL},
    {"fail.test", 2, 0, {NULL}, NULL},
    {"silent.test", -1, 0, {NULL}, NULL},
};

static _Atomic int questions; /* for A */

struct query {
	int fd;
	unsigned char buf[1500];
	size_t n;
	struct sockaddr_storage from;
	socklen_t len;
};

static size_t
put_record(unsigned char *p, int type, const char *text)
{
	static const unsigned char head[] = {0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0};
	size_t size = type == TYPE_A ? 4 : 16;

	memcpy(p, head, sizeof(head)); /* the name of the question, class IN, TTL 0 */
	p[3] = (unsigned char)type;
	p[11] = (unsigned char)size;
	EXPECT_EQ(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, text, p + 12), 1);
	return 12 + size;
}

static void
answer(void *arg)
{
	struct query *q = arg;
	const struct zone *z = NULL;
	char name[256] = "";
	size_t at = 12, end;
	int type, code = 3;

	while (q->buf[at] != 0) {
		if (name[0] != '\0')
			strcat(name, ".");
		strncat(name, (char *)q->buf + at + 1, q->buf[at]);
		at += q->buf[at] + 1u;
	}
	type = q->buf[at + 2];
	end = at + 5;
	questions += type == TYPE_A;
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
		if (strcmp(zones[i].name, name) == 0)
			z = &zones[i];
	q->buf[2] = 0x81; /* a response */
	memset(q->buf + 6, 0, 6);
	if (z != NULL) {
		code = z->code;
		weft_sleep(z->delay_ns);
		for (int i = 0; type == TYPE_A && i < 3 && z->a[i] != NULL; i++) {
			end += put_record(q->buf + end, TYPE_A, z->a[i]);
			q->buf[7]++;
		}
		if (type == TYPE_AAAA && z->aaaa != NULL) {
			end += put_record(q->buf + end, TYPE_AAAA, z->aaaa);
			q->buf[7]++;
		}
	}
	q->buf[3] = (unsigned char)(0x80 | (code & 15));
	if (code >= 0)
		weft_sendto(q->fd, q->buf, end, 0, (struct sockaddr *)&q->from, q->len, soon());
	free(q);
}

static void
serve_names(void *arg)
{
	int fd = (int)(intptr_t)arg;

	for (;;) {
		struct query *q = calloc(1, sizeof(*q));
		ssize_t n;

		q->fd = fd;
		q->len = sizeof(q->from);
		n = weft_recvfrom(fd, q->buf, 1000, 0, (struct sockaddr *)&q->from, &q->len,
		    WEFT_FOREVER);
		if (n < 17) {
			free(q);
			if (n < 0)
				return;
			continue;
		}
		EXPECT_EQ(weft_go(answer, q), 0);
	}
}

static void
start_names(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(53)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "127.0.0.53", &sin.sin_addr);
	EXPECT_EQ(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	EXPECT_EQ(weft_go(serve_names, (void *)(intptr_t)fd), 0);
}

static void
enter_world_with_names(void)
{
	enter_world();
	start_names();
}

/* ---- Lookups ---- */

static void
hosts_and_services(void *unused)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *res;
	struct sockaddr_in *sin;
	int listener, fd;

	(void)unused;
	enter_world();
	EXPECT_EQ(weft_lookup("weft-alias", "weft-echo", &hints, &res, soon()), 0);
	sin = (void *)res->ai_addr;
	EXPECT_EQ(ntohs(sin->sin_port), 7007);
	EXPECT_EQ(ntohl(sin->sin_addr.s_addr), 0x7f000005);
	freeaddrinfo(res);
	listener = weft_listen("tcp", "weft-host:weft-echo", 0);
	EXPECT(listener >= 0);
	fd = weft_dial("tcp", "weft-alias:7007", soon());
	EXPECT(fd >= 0);
	EXPECT_EQ(weft_dial("tcp", "weft-alias:nothing", soon()), -EINVAL);
	hints.ai_family = AF_INET6;
	EXPECT_EQ(weft_lookup("fe80::1%lo", "80", &hints, &res, WEFT_NOW), 0);
	EXPECT_EQ(((struct sockaddr_in6 *)(void *)res->ai_addr)->sin6_scope_id,
	    if_nametoindex("lo"));
	freeaddrinfo(res);
	/* No name server listens: an answer all the same, and soon. */
	EXPECT_EQ(weft_lookup("one.test", "80", &hints, &res, soon()), -EAGAIN);
}

TEST(names_of_files_are_found)
{
	run_in_world(hosts_and_services);
}

static void
bad_answers(void *unused)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *res = NULL;
	int64_t end;

	(void)unused;
	enter_world_with_names();
	EXPECT_EQ(weft_lookup("one.test", "80", &hints, &res, soon()), 0);
	freeaddrinfo(res);
	EXPECT_EQ(weft_lookup("nobody.test", "80", &hints, &res, soon()), -ENOENT);
	EXPECT_EQ(weft_lookup("fail.test", "80", &hints, &res, soon()), -EAGAIN);
	EXPECT_EQ(weft_dial("tcp", "nobody.test:80", soon()), -ENOENT);
	end = weft_in(50 * MS);
	EXPECT_EQ(weft_lookup("silent.test", "80", &hints, &res, end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(weft_dial("tcp", "silent.test:80", weft_in(50 * MS)), -ETIMEDOUT);
	EXPECT_EQ(weft_lookup("silent.test", "80", &hints, &res, soon()), -EAGAIN);
}

TEST(name_servers_that_fail_are_told_apart)
{
	run_in_world(bad_answers);
}

/* A service starts and a thousand requests need the same name: one question, not a thousand. */
struct asker {
	const char *name;
	int64_t deadline;
	int r;
	int64_t began, took;
};

static void
ask_name(void *arg)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *res = NULL;
	struct asker *a = arg;

	a->began = weft_now();
	a->r = weft_lookup(a->name, "80", &hints, &res, a->deadline);
	a->took = weft_now() - a->began;
	if (a->r == 0) {
		struct sockaddr_in *sin = (void *)res->ai_addr;

		EXPECT_EQ(ntohl(sin->sin_addr.s_addr), 0x7f000004);
		EXPECT_EQ(ntohs(sin->sin_port), 80);
		freeaddrinfo(res);
	}
}

/* The resolver gives up after 1 s. */
#define RESOLVER_WAITS (900 * MS)

/* False: the answer may have come before all had asked, or too late for the resolver. */
static bool
ask_together(struct asker a[200])
{
	int64_t begin = weft_now();
	weft_waitgroup wg = {0};
	bool is_good;

	questions = 0;
	for (int i = 0; i < 200; i++) {
		/* Some leave before the answer, the first asker among them. */
		a[i] = (struct asker){"slow.test", i % 3 == 0 ? weft_in(20 * MS) : soon(), 1, 0, 0};
		EXPECT_EQ(weft_waitgroup_go(&wg, ask_name, &a[i]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	is_good = weft_now() - begin < RESOLVER_WAITS;
	for (int i = 0; i < 200; i++)
		is_good = is_good && a[i].began - begin < 150 * MS;
	return is_good;
}

static void
many_ask_at_once(void *unused)
{
	static struct asker a[200];
	int before;

	(void)unused;
	enter_world_with_names();
	before = weft_numgoroutine();
	for (int i = 0; !ask_together(a); i++) {
		EXPECT(i < 50);
		expect_goroutines(before);	/* who answers in vain is done, too */
	}
	EXPECT_EQ(questions, 1);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(a[i].r == -ETIMEDOUT && i % 3 == 0 ? 0 : a[i].r, 0);
	/* Answered, it is asked anew: an answer is not kept. */
	do {
		questions = 1;
		a[0] = (struct asker){"slow.test", soon(), 1, 0, 0};
		ask_name(&a[0]);
	} while (a[0].took >= RESOLVER_WAITS);
	EXPECT_EQ(a[0].r, 0);
	EXPECT_EQ(questions, 2);
	/* All leave: the helper throws the answer away and goes. */
	a[0] = (struct asker){"slow.test", weft_in(20 * MS), 1, 0, 0};
	ask_name(&a[0]);
	EXPECT_EQ(a[0].r, -ETIMEDOUT);
	expect_goroutines(before);
}

TEST(a_question_that_many_have_is_asked_once)
{
	run_in_world(many_ask_at_once);
}

/* ---- Dials ---- */

/* Listens at host, where nobody is ever accepted: once its queue is full, it does not answer. */
static int
black_hole(const char *host, int port)
{
	char address[64];
	int fd, r = 0;

	snprintf(address, sizeof(address), "%s:%d", host, port);
	fd = weft_listen("tcp", address, 1);
	EXPECT(fd >= 0);
	for (int i = 0; i < 8 && r >= 0; i++)
		r = weft_dial("tcp", address, weft_in(20 * MS));
	EXPECT_EQ(r, -ETIMEDOUT);
	return fd;
}

static int
expect_dials(const weft_dial_options *o, const char *address, const char *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char text[64] = "";
	int fd = weft_dial_with(o, "tcp", address, soon());

	if (fd < 0)
		FAIL("dial %s: %s", address, strerror(-fd));
	EXPECT_EQ(getpeername(fd, (struct sockaddr *)&ss, &len), 0);
	EXPECT_EQ(ss.ss_family, AF_INET);
	inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, text, sizeof(text));
	EXPECT_STR(text, peer);
	return fd;
}

/* SCENARIOS 225. Each way in which the first address can be bad. */
static void
first_address_is_bad(void *unused)
{
	weft_dial_options at_once = {.size = sizeof(at_once), .delay = 1 * MS};
	weft_dial_options in_turn = {.size = sizeof(in_turn), .delay = -1};
	int64_t start;
	int hole, good, before, fd;

	(void)unused;
	enter_world_with_names();
	good = weft_listen("tcp", "127.0.0.3:7007", 0);
	EXPECT(good >= 0);
	/* It refuses: the next at once. */
	EXPECT_EQ(weft_close(expect_dials(NULL, "two.test:7007", "127.0.0.3")), 0);
	EXPECT_EQ(weft_close(expect_dials(&in_turn, "two.test:7007", "127.0.0.3")), 0);
	EXPECT_EQ(weft_close(expect_dials(NULL, "mixed.test:7007", "127.0.0.3")), 0);
	/* It does not answer: the next after its head start. */
	hole = black_hole("127.0.0.2", 7007);
	before = open_fds();
	start = weft_now();
	fd = expect_dials(NULL, "two.test:7007", "127.0.0.3");
	EXPECT(weft_now() - start >= 250 * MS);
	EXPECT_EQ(weft_close(fd), 0);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(weft_close(expect_dials(&at_once, "two.test:7007", "127.0.0.3")), 0);
	expect_open(before);
	/* Without, its share of the time passes first. */
	start = weft_now();
	fd = weft_dial_with(&in_turn, "tcp", "two.test:7007", weft_in(4 * SEC));
	EXPECT(fd >= 0 || fd == -ETIMEDOUT);
	EXPECT(weft_now() - start >= 1900 * MS);
	if (fd >= 0)
		EXPECT_EQ(weft_close(fd), 0);
	expect_open(before);
	EXPECT_EQ(weft_close(hole), 0);
}

TEST(a_bad_first_address_costs_a_moment)
{
	run_in_world(first_address_is_bad);
}

static int
dial_for_ever(void *arg)
{
	return weft_dial("tcp", arg, WEFT_FOREVER);
}

/* SCENARIOS 224, 225. Nobody answers: the error, the deadline, the end of the scope, no leak. */
static void
all_addresses_are_bad(void *unused)
{
	weft_dial_options at_once = {.size = sizeof(at_once), .delay = 1 * MS};
	int before, holes[2];
	weft_scope *s;
	int64_t end;

	(void)unused;
	enter_world_with_names();
	EXPECT_EQ(weft_dial("tcp", "two.test:7007", soon()), -ECONNREFUSED);
	EXPECT_EQ(weft_dial("tcp", "mixed.test:7007", soon()), -ECONNREFUSED);
	holes[0] = black_hole("127.0.0.2", 7007);
	holes[1] = black_hole("127.0.0.3", 7007);
	before = open_fds();
	end = weft_in(30 * MS);
	EXPECT_EQ(weft_dial_with(&at_once, "tcp", "two.test:7007", end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(weft_dial("tcp", "two.test:7007", WEFT_NOW), -ETIMEDOUT);
	s = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT_EQ(weft_scope_go(s, dial_for_ever, (void *)(uintptr_t)"two.test:7007"), 0);
	weft_sleep(300 * MS);
	weft_scope_cancel(s, 0);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
	expect_open(before);
	EXPECT_EQ(weft_close(holes[0]), 0);
	EXPECT_EQ(weft_close(holes[1]), 0);
}

TEST(a_dial_that_nobody_answers_ends_and_leaks_nothing)
{
	run_in_world(all_addresses_are_bad);
}

/* SCENARIOS 228. */
static _Atomic int controlled;

static int
count_control(int fd, void *arg)
{
	int on = 1;

	EXPECT_EQ(weft_sleep(1), 0); /* it is the caller's goroutine, outside of any lock */
	EXPECT_EQ(setsockopt(fd, IPPROTO_IP, IP_TOS, &on, sizeof(on)), 0);
	controlled++;
	return *(int *)arg;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	EXPECT_EQ(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
options_of_a_dial(void *unused)
{
	struct sockaddr_in local = {.sin_family = AF_INET}, peer;
	socklen_t len = sizeof(peer);
	int error = 0, listener, fd, served;
	weft_dial_options o = {.size = sizeof(o), .local = (struct sockaddr *)&local,
	    .local_len = sizeof(local), .keepalive = 40 * SEC, .control = count_control,
	    .control_arg = &error};

	(void)unused;
	enter_world_with_names();
	inet_pton(AF_INET, "127.0.0.9", &local.sin_addr);
	listener = weft_listen("tcp", "127.0.0.3:7007", 0);
	fd = expect_dials(&o, "mixed.test:7007", "127.0.0.3"); /* ::1 cannot come from there */
	EXPECT_EQ(controlled, 1);
	served = weft_accept(listener, (struct sockaddr *)&peer, &len, soon());
	EXPECT_EQ(ntohl(peer.sin_addr.s_addr), 0x7f000009);
	EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 40);
	/* Accepted ones have what Go gives them. */
	EXPECT_EQ(option(served, SOL_SOCKET, SO_KEEPALIVE), 1);
	EXPECT_EQ(option(served, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	EXPECT_EQ(option(served, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	EXPECT_EQ(option(served, IPPROTO_TCP, TCP_KEEPCNT), 9);
	EXPECT_EQ(weft_close(fd), 0);
	error = -EPERM;
	EXPECT_EQ(weft_dial_with(&o, "tcp", "127.0.0.3:7007", soon()), -EPERM);
	o = (weft_dial_options){.size = sizeof(o), .keepalive = -1};
	fd = expect_dials(&o, "127.0.0.3:7007", "127.0.0.3");
	EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	EXPECT_EQ(weft_close(fd), 0);
	fd = weft_dial("tcp", "127.0.0.3:7007", soon());
	EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
}

TEST(options_of_a_dial_are_kept)
{
	run_in_world(options_of_a_dial);
}
