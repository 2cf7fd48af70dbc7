/*
 * Peers that mean harm, threads that carry other people's errors, many connections at once.
 */
#include "tls_util.h"

#include "child.h"
#include "fds.h"
#include "goroutines.h"

/* ---- keys that change ---- */

/* New keys in the middle of a flow, asked for by either side, lose and repeat nothing. */
TEST(keys_change_while_bytes_flow)
{
	static unsigned char out[20000], in[20000];
	weft_tls *end[2];

	plain_tls_pair(end);
	for (int i = 0; i < 200; i++) {
		weft_tls *from = end[i % 2], *to = end[(i + 1) % 2];

		EXPECT_EQ(SSL_key_update(weft_tls_native(from),
			      i % 3 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
		    1);
		fill_pattern(out, sizeof(out), (uint64_t)i, 0);
		EXPECT_EQ(weft_tls_write(from, out, sizeof(out), soon()), sizeof(out));
		tls_read_all(to, in, sizeof(in));
		expect_pattern(in, sizeof(in), (uint64_t)i, 0);
	}
	close_both(end);
	drop_certificates();
}

/* A client that wants to shake hands again costs the server its time: in 1.2 it is refused. */
TEST(renegotiation_is_refused)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_tls *end[2];
	int of_server;
	ssize_t n;
	char byte;

	tls_ends(client, "localhost", server, end);
	SSL_set_max_proto_version(weft_tls_native(end[0]), TLS1_2_VERSION);
	SSL_clear_options(weft_tls_native(end[0]), SSL_OP_NO_RENEGOTIATION);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	EXPECT_EQ(SSL_renegotiate(weft_tls_native(end[0])), 1);
	/* Puts the request on its way, and waits for an answer that does not come. */
	n = weft_tls_read(end[0], &byte, 1, weft_in(20 * MS));
	EXPECT_EQ(n, -ETIMEDOUT);
	n = weft_tls_read(end[1], &byte, 1, weft_in(20 * MS));
	EXPECT_EQ(n, -ETIMEDOUT);
	EXPECT_EQ(SSL_num_renegotiations(weft_tls_native(end[1])), 0);
	EXPECT_EQ(weft_tls_write(end[1], "x", 1, soon()), 1);
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* ---- bytes that are no TLS, or no longer ---- */

struct session {
	weft_tls *t;
	ssize_t result;
	uint64_t seed, got; /* of the pattern that is the only thing it may read */
	int64_t limit;      /* for each read, ns */
	weft_waitgroup done;
};

static void
read_session(void *arg)
{
	struct session *s = arg;
	unsigned char buf[100];

	for (;;) {
		s->result = weft_tls_read(s->t, buf, sizeof(buf), weft_in(s->limit));
		if (s->result <= 0)
			return;
		expect_pattern(buf, (size_t)s->result, s->seed, s->got);
		s->got += (uint64_t)s->result;
	}
}

static bool
is_verdict(ssize_t r)
{
	return r == -EPROTO || r == -ECONNABORTED || r == -ECONNRESET || r == -EPIPE;
}

/* Noise of every length, and the beginnings of other protocols: an error, and soon. */
TEST(noise_is_an_error)
{
	static const char *const starts[] = {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n",
	    "\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
	    "\x15\x03\x03\x00\x02\x01\x00", "\x80\x2e\x01\x00\x02", ""};
	weft_tls_context *server = server_with("good");
	uint64_t seed = test_seed();
	unsigned char noise[3000];

	for (int i = 0; i < 300 / test_scale(); i++) {
		const char *start = starts[(size_t)i % (sizeof(starts) / sizeof(starts[0]))];
		size_t len = i % 7 == 2 ? 5 : strlen(start), n = test_rand(&seed) % sizeof(noise);
		struct session s = {.limit = 30 * SEC * test_scale()};
		int fd[2];

		tcp_pair(fd);
		EXPECT_EQ(weft_tls_server(server, fd[1], &s.t), 0);
		EXPECT_EQ(weft_waitgroup_go(&s.done, read_session, &s), 0);
		for (size_t k = 0; k < n; k++)
			noise[k] = (unsigned char)test_rand(&seed);
		memcpy(noise, start, n < len ? n : len);
		weft_write(fd[0], noise, n, soon());
		shutdown(fd[0], SHUT_WR);
		EXPECT_EQ(weft_waitgroup_wait(&s.done, soon()), 0);
		if (!is_verdict(s.result))
			FAIL("%zu bytes of noise, round %d: %zd", n, i, s.result);
		EXPECT_EQ(ERR_peek_error(), 0);
		weft_tls_close(s.t, WEFT_NOW);
		weft_close(fd[0]);
	}
	weft_tls_context_free(server);
	drop_certificates();
}

struct tamper {
	int from, to;
	uint64_t at; /* the byte that is changed */
};

static void
forward(void *arg)
{
	struct tamper *m = arg;
	unsigned char buf[4096];
	uint64_t seen = 0;
	ssize_t n;

	while ((n = weft_read(m->from, buf, sizeof(buf), soon())) > 0) {
		if (m->at >= seen && m->at < seen + (uint64_t)n)
			buf[m->at - seen] ^= 0x41;
		seen += (uint64_t)n;
		if (weft_write(m->to, buf, (size_t)n, soon()) != n)
			break;
	}
	shutdown(m->to, SHUT_WR);
	shutdown(m->from, SHUT_RD);
}

/*
 * Somebody in between changes one byte, at any place of handshake or data, of either direction.
 * Both ends come to an end; neither ever reads what was not written.
 */
TEST(a_changed_byte_is_noticed)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	static unsigned char out[2000], in[2000];
	int rounds = 150 / test_scale(), noticed = 0;
	uint64_t seed = test_seed();

	for (int i = 0; i < rounds; i++) {
		struct tamper m[2];
		struct session s = {.seed = (uint64_t)i, .limit = 300 * MS};
		weft_tls *t;
		int a[2], b[2];
		ssize_t n;
		weft_waitgroup middle = {0};

		tcp_pair(a);
		tcp_pair(b);
		m[0] = (struct tamper){a[1], b[0], UINT64_MAX};
		m[1] = (struct tamper){b[0], a[1], UINT64_MAX};
		m[i % 2].at = test_rand(&seed) % 1500;
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(weft_waitgroup_go(&middle, forward, &m[k]), 0);
		EXPECT_EQ(weft_tls_client(client, a[0], "localhost", &t), 0);
		EXPECT_EQ(weft_tls_server(server, b[1], &s.t), 0);
		fill_pattern(out, sizeof(out), (uint64_t)i, 0);
		EXPECT_EQ(weft_waitgroup_go(&s.done, read_session, &s), 0);
		/* A record that seems longer than it is has its reader wait for the rest. */
		n = weft_tls_write(t, out, sizeof(out), weft_in(300 * MS));
		if (n == sizeof(out))
			weft_tls_close_write(t, soon());
		else
			shutdown(a[0], SHUT_RDWR);
		EXPECT_EQ(weft_waitgroup_wait(&s.done, soon()), 0);
		/* All of it, or an error. Only i even touches what the server reads. */
		EXPECT(s.result < 0 || s.got == sizeof(out));
		noticed += i % 2 == 0 && s.result < 0;
		shutdown(b[1], SHUT_RDWR);
		n = weft_tls_read(t, in, sizeof(in), weft_in(300 * MS));
		if (n > 0)
			FAIL("the client read %zd bytes that nobody wrote", n);
		shutdown(a[0], SHUT_RDWR);
		EXPECT_EQ(weft_waitgroup_wait(&middle, soon()), 0);
		weft_tls_close(t, WEFT_NOW);
		weft_tls_close(s.t, WEFT_NOW);
		weft_close(a[1]);
		weft_close(b[0]);
	}
	/* But for the head of a first record, which means nothing (RFC 8446 5.1). */
	EXPECT(noticed >= rounds / 2 * 9 / 10);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* A client that gives up at any byte of the handshake leaves no goroutine and no descriptor. */
TEST(handshakes_cut_off_anywhere_leave_nothing)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	int descriptors, goroutines = weft_numgoroutine(), of_server;
	weft_tls *end[2];

	/* The runtime opens some of its own when somebody waits for the first time. */
	tls_ends(client, "localhost", server, end);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	close_both(end);
	descriptors = open_fds();
	for (int i = 0; i < 60; i++) {
		struct session s = {.limit = 30 * SEC * test_scale()};
		struct tamper m[2];
		weft_tls *t;
		int a[2], b[2];
		weft_waitgroup middle = {0};
		char buf[64];
		ssize_t n;
		size_t left = (size_t)i * 8;

		tcp_pair(a);
		tcp_pair(b);
		EXPECT_EQ(weft_tls_client(client, a[0], "localhost", &t), 0);
		EXPECT_EQ(weft_tls_server(server, b[1], &s.t), 0);
		m[1] = (struct tamper){b[0], a[1], UINT64_MAX};
		EXPECT_EQ(weft_waitgroup_go(&middle, forward, &m[1]), 0);
		EXPECT_EQ(weft_waitgroup_go(&s.done, read_session, &s), 0);
		EXPECT_EQ(weft_tls_handshake(t, WEFT_NOW), -ETIMEDOUT);
		while (left > 0 &&
		    (n = weft_read(a[1], buf, left < 64 ? left : 64, weft_in(5 * MS))) > 0) {
			EXPECT_EQ(weft_write(b[0], buf, (size_t)n, soon()), n);
			left -= (size_t)n;
		}
		shutdown(b[0], i % 3 ? SHUT_RDWR : SHUT_WR);
		EXPECT_EQ(weft_waitgroup_wait(&s.done, soon()), 0);
		EXPECT(is_verdict(s.result));
		weft_tls_close(s.t, WEFT_NOW);
		weft_tls_close(t, WEFT_NOW);
		EXPECT_EQ(weft_waitgroup_wait(&middle, soon()), 0);
		weft_close(a[1]);
		weft_close(b[0]);
	}
	expect_open(descriptors);
	expect_goroutines(goroutines);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* ---- the queue of errors ---- */

struct errors {
	weft_tls *t;
	int rounds;
};

/* Leaves an error on the thread now and then, as a careless library does, and finds none. */
static void
talk_among_errors(void *arg)
{
	struct errors *e = arg;
	char byte;

	for (int i = 0; i < e->rounds; i++) {
		EXPECT_EQ(ERR_peek_error(), 0);
		ERR_raise(ERR_LIB_SSL, SSL_R_BAD_PACKET);
		EXPECT_EQ(weft_tls_write(e->t, "x", 1, soon()), 1);
		EXPECT_EQ(ERR_peek_error(), 0);
		ERR_raise(ERR_LIB_SSL, SSL_R_BAD_PACKET);
		EXPECT_EQ(weft_tls_read(e->t, &byte, 1, soon()), 1);
	}
}

static void
fail_often(void *arg)
{
	weft_tls_context *server = arg;

	for (int i = 0; i < 100 / test_scale(); i++) {
		weft_tls *t;
		int fd[2];
		char byte;

		tcp_pair(fd);
		EXPECT_EQ(weft_write(fd[0], "not TLS at all\n", 15, soon()), 15);
		EXPECT_EQ(weft_tls_server(server, fd[1], &t), 0);
		EXPECT_EQ(weft_tls_read(t, &byte, 1, soon()), -EPROTO);
		EXPECT_EQ(ERR_peek_error(), 0);
		weft_tls_close(t, WEFT_NOW);
		weft_close(fd[0]);
	}
}

/*
 * The queue is the thread's, and goroutines change threads: an error that one left behind would
 * be taken for the next one's, whose connection is in order.
 */
TEST(errors_of_one_are_not_taken_for_anothers)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	enum { PAIRS = 8 };
	struct errors e[2 * PAIRS];
	weft_waitgroup all = {0};

	weft_gomaxprocs(4);
	for (int i = 0; i < PAIRS; i++) {
		weft_tls *end[2];

		tls_pair(client, server, end);
		for (int k = 0; k < 2; k++) {
			e[2 * i + k] = (struct errors){end[k], 400 / test_scale()};
			EXPECT_EQ(weft_waitgroup_go(&all, talk_among_errors, &e[2 * i + k]), 0);
		}
		EXPECT_EQ(weft_waitgroup_go(&all, fail_often, server), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	for (int i = 0; i < 2 * PAIRS; i++)
		weft_tls_close(e[i].t, soon());
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* ---- many ---- */

struct crowd {
	weft_tls_context *client, *server;
	char address[32];
	int listener;
};

static void
serve_client(void *arg)
{
	weft_tls *t = arg;
	char buf[100];
	ssize_t n;

	while ((n = weft_tls_read(t, buf, sizeof(buf), soon())) > 0)
		EXPECT_EQ(weft_tls_write(t, buf, (size_t)n, soon()), n);
	EXPECT_EQ(n, 0);
	weft_tls_close(t, soon());
}

static void
accept_crowd(void *arg)
{
	struct crowd *c = arg;
	int fd;

	while ((fd = weft_accept(c->listener, NULL, NULL, WEFT_FOREVER)) >= 0) {
		weft_tls *t;

		EXPECT_EQ(weft_tls_server(c->server, fd, &t), 0);
		EXPECT_EQ(weft_go(serve_client, t), 0);
	}
	EXPECT_EQ(fd, -EBADF);
}

static void
be_a_client(void *arg)
{
	struct crowd *c = arg;
	char out[32], in[32];
	weft_tls *t;

	snprintf(out, sizeof(out), "goroutine %llu asks", (unsigned long long)weft_goid());
	EXPECT_EQ(weft_tls_dial(c->client, "tcp", c->address, &t, soon()), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(weft_tls_write(t, out, sizeof(out), soon()), sizeof(out));
		tls_read_all(t, in, sizeof(in));
		EXPECT(memcmp(in, out, sizeof(in)) == 0);
	}
	EXPECT_EQ(weft_tls_close_write(t, soon()), 0);
	EXPECT_EQ(weft_tls_read(t, in, 1, soon()), 0);
	EXPECT_EQ(weft_tls_close(t, soon()), 0);
}

/* All at once: each gets its own answers, and nothing is left when they have gone. */
TEST(a_thousand_handshakes_at_once)
{
	struct crowd c = {.client = client_that_trusts(), .server = server_with("good")};
	int n = 1000 / test_scale(), goroutines = weft_numgoroutine();
	weft_waitgroup clients = {0};

	c.listener = listen_local(c.address);
	EXPECT_EQ(weft_go(accept_crowd, &c), 0);
	for (int i = 0; i < n; i++)
		EXPECT_EQ(weft_waitgroup_go(&clients, be_a_client, &c), 0);
	EXPECT_EQ(weft_waitgroup_wait(&clients, soon()), 0);
	EXPECT_EQ(weft_close(c.listener), 0);
	for (int64_t limit = soon(); weft_numgoroutine() > goroutines; weft_sleep(MS))
		EXPECT(weft_now() < limit);
	weft_tls_context_free(c.client);
	weft_tls_context_free(c.server);
	drop_certificates();
}

static void
talk_for_ever(void *arg)
{
	weft_tls_context **c = arg;

	for (;;) {
		weft_tls *end[2];
		char byte;

		tls_pair(c[0], c[1], end);
		for (int i = 0; i < 10; i++) {
			weft_tls_write(end[0], "x", 1, WEFT_FOREVER);
			weft_tls_read(end[1], &byte, 1, WEFT_FOREVER);
		}
		close_both(end);
	}
}

static void
end_in_the_middle(void *unused)
{
	static weft_tls_context *c[2];

	(void)unused;
	weft_gomaxprocs(4);
	c[0] = client_that_trusts();
	c[1] = server_with("good");
	for (int i = 0; i < 8; i++)
		weft_go(talk_for_ever, c);
	weft_sleep(20 * MS);
}

/*
 * main() returns, and goroutines are in the middle of TLS: the process ends with its own status.
 * OpenSSL would free all it has at exit, under the feet of those.
 */
TEST(the_process_may_end_while_others_speak)
{
	/* Once for all of them: making them takes far longer than a child. */
	EXPECT_EQ(setenv(CERTIFICATES, certificates(), 1), 0);
	for (int i = 0; i < 20 / test_scale(); i++) {
		struct child_result r = child_run(end_in_the_middle, NULL);

		if (r.status != 0)
			FAIL("round %d: status %d, signal %d: %s", i, r.status, r.signal, r.err);
		child_result_free(&r);
	}
	drop_certificates();
}

struct small {
	weft_tls *t;
	weft_waitgroup *done;
};

static void
shake_on_a_small_stack(void *arg)
{
	struct small *s = arg;

	EXPECT_EQ(weft_tls_handshake(s->t, soon()), 0);
	weft_waitgroup_done(s->done);
}

/* How much stack it takes is OpenSSL's choice; the manual says that 64 KiB are enough. */
TEST(a_handshake_needs_no_large_stack)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good-rsa");
	weft_go_options o = {.size = sizeof(o), .stack_size = (size_t)(64 * test_scale()) << 10};
	weft_waitgroup done = {0};
	struct small small[2];
	weft_tls *end[2];

	tls_ends(client, "localhost", server, end);
	for (int i = 0; i < 2; i++) {
		small[i] = (struct small){end[i], &done};
		weft_waitgroup_add(&done, 1);
		EXPECT_EQ(weft_go_with(&o, shake_on_a_small_stack, &small[i]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&done, soon()), 0);
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* ---- ends that nobody takes ---- */

/* A peer that takes nothing at all holds up the handshake till its deadline, and not its end. */
TEST(a_handshake_that_nobody_reads_can_be_given_up)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_tls *end[2];
	int fd[2], of_server;

	stream_pair(UNIX_SOCKET, fd);
	(void)fill_up(fd[1]);
	EXPECT_EQ(weft_tls_client(client, fd[0], "localhost", &end[0]), 0);
	EXPECT_EQ(weft_tls_server(server, fd[1], &end[1]), 0);
	/* The junk of fill_up() is no handshake: the client says hello, and then fails. */
	EXPECT(weft_tls_handshake(end[0], WEFT_NOW) < 0);
	of_server = weft_tls_handshake(end[1], weft_in(50 * MS));
	EXPECT_EQ(of_server, -ETIMEDOUT);
	EXPECT_EQ(weft_tls_close(end[1], WEFT_NOW), 0);
	(void)weft_tls_close(end[0], WEFT_NOW);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}
