/*
 * An echo server, and a client that measures it: what network code looks like with weft. One
 * goroutine per connection, plain reads and writes, no callback.
 *
 *	echo serve [ADDRESS]			until SIGINT; prints "echo: listening on ..."
 *	echo ask ADDRESS [CONNECTIONS] [ROUNDS]	bytes there and back, each checked
 *
 * ADDRESS is HOST:PORT, for TCP; udp:HOST:PORT; or unix:PATH. Without one it serves
 * localhost:7007.
 */
#include <weft.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define IDLE_LIMIT (60 * SECOND) /* a client that says nothing for so long is hung up on */
#define MESSAGE 64

static void
echo(void *arg)
{
	int fd = *(int *)arg;
	char buf[4096];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf), weft_in(IDLE_LIMIT))) > 0)
		if (weft_write(fd, buf, (size_t)n, weft_in(IDLE_LIMIT)) != n)
			break;
	weft_close(fd);
}

static int listener;

/* Datagrams have no connections: one goroutine answers them all, each to where it came from. */
static void
echo_datagrams(void *unused)
{
	struct sockaddr_storage from;
	static char buf[65536];

	(void)unused;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = weft_recvfrom(listener, buf, sizeof(buf), 0, (struct sockaddr *)&from,
		    &len, WEFT_FOREVER);

		if (n == -EBADF)
			return;
		/* What cannot be delivered is lost, as datagrams are: no sender holds up others. */
		if (n >= 0)
			weft_sendto(listener, buf, (size_t)n, 0, (struct sockaddr *)&from, len,
			    WEFT_NOW);
	}
}

/* In a goroutine, because main() waits for the signal. */
static void
accept_all(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = weft_accept(listener, NULL, NULL, WEFT_FOREVER)) != -EBADF) {
		weft_go_options o = {
		    .size = sizeof(o), .name = "echo", .copy = &fd, .copy_size = sizeof(fd)};

		if (fd < 0) {
			/* No descriptor left: those that are open must end first. */
			fprintf(stderr, "echo: accept: %s\n", strerror(-fd));
			weft_sleep(SECOND / 100);
		} else if (weft_go_with(&o, echo, NULL) < 0) {
			weft_close(fd);
		}
	}
}

/* "udp:HOST:PORT" is the network "udp" and the address HOST:PORT; no network is TCP. */
static const char *
network_of(const char **address)
{
	static const char *const networks[] = {"tcp", "udp", "unix"};

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(networks[i]);

		if (strncmp(*address, networks[i], n) == 0 && (*address)[n] == ':') {
			*address += n + 1;
			return networks[i];
		}
	}
	return networks[0];
}

/* Never inlined, as all that looks at errno (docs/errno.md): its caller has waited. */
static __attribute__((noinline)) int
bind_to(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd >= 0 && bind(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* A UDP socket bound to "HOST:PORT", or an error. */
static int
bind_udp(const char *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE}, *found;
	const char *colon = strrchr(address, ':');
	char host[256];
	int fd, err;

	if (colon == NULL || (size_t)(colon - address) >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	err = weft_lookup(*host != '\0' ? host : NULL, colon + 1, &hints, &found, WEFT_FOREVER);
	if (err < 0)
		return err;
	fd = bind_to(found);
	freeaddrinfo(found);
	return fd;
}

static void
announce(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(listener, (struct sockaddr *)&ss, &len) < 0 || ss.ss_family == AF_UNIX)
		printf("echo: listening on a path\n");
	else
		printf("echo: listening on port %d\n",
		    ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
						  : ((struct sockaddr_in6 *)&ss)->sin6_port));
	fflush(stdout);
}

static int
serve(const char *address)
{
	const char *network = network_of(&address);
	bool is_udp = strcmp(network, "udp") == 0;
	sigset_t stop;
	int sig;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL); /* before weft has threads: they inherit it */
	listener = is_udp ? bind_udp(address) : weft_listen(network, address, 0);
	if (listener < 0) {
		fprintf(stderr, "echo: %s: %s\n", address, strerror(-listener));
		return 1;
	}
	announce();
	if (weft_go(is_udp ? echo_datagrams : accept_all, NULL) < 0)
		return 1;
	/* A plain blocking call. Whoever makes one keeps a thread, and stops nobody. */
	sigwait(&stop, &sig);
	weft_close(listener);
	if (strcmp(network, "unix") == 0)
		unlink(address);
	return 0;
}

struct client {
	const char *network, *address;
	long rounds;
	int number;
	int result;
};

static void
ask(void *arg)
{
	struct client *c = arg;
	char out[MESSAGE], in[MESSAGE];
	int fd = weft_dial(c->network, c->address, weft_in(5 * SECOND));

	c->result = fd < 0 ? fd : 0;
	for (long i = 0; i < c->rounds && c->result == 0; i++) {
		int64_t limit = weft_in(10 * SECOND);
		ssize_t n;

		snprintf(out, sizeof(out), "%d asks for the %ldth time", c->number, i);
		n = weft_write(fd, out, sizeof(out), limit);
		if (n == MESSAGE)
			n = weft_recv(fd, in, sizeof(in), MSG_WAITALL, limit);
		if (n != MESSAGE)
			c->result = n < 0 ? (int)n : -ECONNRESET;
		else if (memcmp(in, out, MESSAGE) != 0)
			c->result = -EBADMSG;
	}
	if (fd >= 0)
		weft_close(fd);
}

static int
ask_all(const char *address, long connections, long rounds)
{
	const char *network = network_of(&address);
	struct client *c = calloc((size_t)connections, sizeof(*c));
	weft_waitgroup done = {0};
	int64_t start = weft_now(), took;
	int failed = 0;

	if (c == NULL)
		return 1;
	for (long i = 0; i < connections; i++) {
		c[i] = (struct client){network, address, rounds, (int)i, 0};
		if (weft_waitgroup_go(&done, ask, &c[i]) < 0)
			return 1;
	}
	weft_waitgroup_wait(&done, WEFT_FOREVER);
	took = weft_now() - start;
	for (long i = 0; i < connections; i++) {
		if (c[i].result < 0 && failed++ == 0)
			fprintf(stderr, "echo: %s: %s\n", address, strerror(-c[i].result));
	}
	printf("echo: %ld connections, %ld messages, %d failed, %.2f us each\n", connections,
	    connections * rounds, failed, (double)took / 1000 / (double)(connections * rounds));
	free(c);
	return failed > 0;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && argc <= 3 && strcmp(argv[1], "serve") == 0)
		return serve(argc == 3 ? argv[2] : "localhost:7007");
	if (argc >= 3 && argc <= 5 && strcmp(argv[1], "ask") == 0) {
		long connections = argc > 3 ? atol(argv[3]) : 10;
		long rounds = argc > 4 ? atol(argv[4]) : 1000;

		if (connections > 0 && rounds > 0)
			return ask_all(argv[2], connections, rounds);
	}
	fprintf(stderr, "usage: echo serve [ADDRESS]\n"
			"       echo ask ADDRESS [CONNECTIONS] [ROUNDS]\n");
	return 64;
}
