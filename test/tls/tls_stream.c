/*
 * A TLS connection as a stream: bytes, ends, deadlines, cancellation, several users.
 */
#include "tls_util.h"

#include "fds.h"

/* ---- bytes ---- */

enum { BIG = 4 << 20 };

struct flow {
	weft_tls *t;
	uint64_t seed;
	size_t total;
};

static void
write_flow(void *arg)
{
	struct flow *f = arg;
	size_t at = 0, step = 1;
	unsigned char *buf = malloc(100000);

	while (at < f->total) {
		size_t n = f->total - at < step ? f->total - at : step;

		fill_pattern(buf, n, f->seed, at);
		EXPECT_EQ(weft_tls_write(f->t, buf, n, soon()), n);
		at += n;
		step = step * 7 % 99991;
	}
	EXPECT_EQ(weft_tls_close_write(f->t, soon()), 0);
	free(buf);
}

static void
read_flow(void *arg)
{
	struct flow *f = arg;
	size_t at = 0, step = 1;
	unsigned char *buf = malloc(100000);
	ssize_t n;

	while ((n = weft_tls_read(f->t, buf, step, soon())) > 0) {
		expect_pattern(buf, (size_t)n, f->seed, at);
		at += (size_t)n;
		step = step * 5 % 99991;
	}
	EXPECT_EQ(n, 0);
	EXPECT_EQ(at, f->total);
	free(buf);
}

/*
 * Four goroutines, two a connection: one reads while the other writes. If OpenSSL were called by
 * both at once, or a record were torn, bytes would be wrong, or the connection break.
 */
static void
both_ways(int version)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	size_t total = (size_t)BIG / test_scale();
	struct flow flow[4];
	weft_waitgroup all = {0};
	weft_tls *end[2];
	int of_server;

	tls_ends(client, "localhost", server, end);
	SSL_set_max_proto_version(weft_tls_native(end[0]), version);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	for (int i = 0; i < 4; i++) {
		flow[i] = (struct flow){.t = end[i / 2], .total = total,
		    .seed = (uint64_t)(i == 0 || i == 3)};
		EXPECT_EQ(
		    weft_waitgroup_go(&all, i % 2 ? read_flow : write_flow, &flow[i]), 0);
	}
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	EXPECT_EQ(weft_tls_close(end[0], soon()), 0);
	EXPECT_EQ(weft_tls_close(end[1], soon()), 0);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

TEST(bytes_arrive_as_sent_both_ways_at_once)
{
	both_ways(TLS1_3_VERSION);
}

TEST(bytes_arrive_as_sent_both_ways_in_tls_1_2)
{
	both_ways(TLS1_2_VERSION);
}

/* ---- ends ---- */

/* If a cut were taken for the end, whoever can cut a line could shorten a message unseen. */
TEST(a_stream_that_breaks_off_is_not_a_stream_that_ends)
{
	weft_tls *end[2];
	char buf[8];

	plain_tls_pair(end);
	EXPECT_EQ(weft_tls_write(end[1], "half a ", 7, soon()), 7);
	EXPECT_EQ(shutdown(weft_tls_fd(end[1]), SHUT_WR), 0);
	tls_read_all(end[0], buf, 7);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(weft_tls_read(end[0], buf, 1, soon()), -ECONNABORTED);
		EXPECT_WHY(end[0], "without a close_notify");
	}
	/* The other direction is none the worse for it. */
	EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), 1);
	EXPECT_EQ(weft_tls_read(end[1], buf, 1, soon()), 1);
	close_both(end);
	drop_certificates();
}

/* Half a connection: "that was my question" must not end the answer. */
TEST(each_direction_ends_by_itself)
{
	weft_tls *end[2];
	char buf[8];

	plain_tls_pair(end);
	EXPECT_EQ(weft_tls_write(end[0], "ask", 3, soon()), 3);
	EXPECT_EQ(weft_tls_close_write(end[0], soon()), 0);
	EXPECT_EQ(weft_tls_close_write(end[0], soon()), 0);
	EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), -EPIPE);
	tls_read_all(end[1], buf, 3);
	EXPECT_EQ(weft_tls_read(end[1], buf, 1, soon()), 0);
	EXPECT_EQ(weft_tls_read(end[1], buf, 1, soon()), 0);
	EXPECT_EQ(weft_tls_write(end[1], "answer", 6, soon()), 6);
	tls_read_all(end[0], buf, 6);
	EXPECT(memcmp(buf, "answer", 6) == 0);
	EXPECT_EQ(weft_tls_close(end[1], soon()), 0);
	EXPECT_EQ(weft_tls_read(end[0], buf, 1, soon()), 0);
	EXPECT_EQ(weft_tls_close(end[0], soon()), 0);
	drop_certificates();
}

/* Calls of no bytes, and on a connection that is not one. */
TEST(small_things)
{
	weft_tls *end[2];
	char byte;

	plain_tls_pair(end);
	EXPECT_EQ(weft_tls_read(end[0], &byte, 0, WEFT_NOW), 0);
	EXPECT_EQ(weft_tls_write(end[0], &byte, 0, WEFT_NOW), 0);
	EXPECT_EQ(weft_tls_handshake(end[0], WEFT_NOW), 0);
	EXPECT_EQ(weft_tls_close(NULL, WEFT_NOW), 0);
	weft_tls_context_free(NULL);
	close_both(end);
	drop_certificates();
}

/* ---- deadlines and cancellation ---- */

/* A peer that says nothing at any stage costs no more than the deadline, and harms nothing. */
TEST(deadlines_end_waits_and_leave_the_connection_whole)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_tls *end[2];
	int64_t start;
	int of_server;
	char byte;

	tls_ends(client, "localhost", server, end);
	for (int i = 0; i < 3; i++) {
		start = weft_now();
		EXPECT_EQ(weft_tls_handshake(end[0], weft_in(20 * MS)), -ETIMEDOUT);
		EXPECT(weft_now() - start >= 20 * MS);
		EXPECT_EQ(weft_tls_read(end[0], &byte, 1, WEFT_NOW), -ETIMEDOUT);
	}
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	/* Shorter and longer than a buffer is held for one that waits. */
	for (int i = 0; i < 4; i++) {
		int64_t wait = i % 2 ? 150 * MS : 10 * MS;

		start = weft_now();
		EXPECT_EQ(weft_tls_read(end[i / 2], &byte, 1, weft_in(wait)), -ETIMEDOUT);
		EXPECT(weft_now() - start >= wait);
	}
	EXPECT_EQ(weft_tls_write(end[0], "a", 1, WEFT_NOW), 1);
	EXPECT_EQ(weft_tls_read(end[1], &byte, 1, soon()), 1);
	EXPECT_EQ(byte, 'a');
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/*
 * A full line: the write that finds no room ends in time, and what was accepted before arrives to
 * the last byte, although nobody calls anything on that side any more.
 */
TEST(what_was_accepted_arrives_though_its_writer_gave_up)
{
	static unsigned char out[300000], in[300000];
	size_t accepted = 0, got = 0;
	weft_tls *end[2];
	ssize_t n;

	plain_tls_pair(end);
	for (;;) {
		fill_pattern(out, sizeof(out), 5, accepted);
		n = weft_tls_write(end[0], out, sizeof(out), weft_in(20 * MS));
		if (n < 0)
			break;
		accepted += (size_t)n;
	}
	EXPECT_EQ(n, -ETIMEDOUT);
	while (got < accepted) {
		n = weft_tls_read(end[1], in, sizeof(in), soon());
		EXPECT(n > 0);
		expect_pattern(in, (size_t)n, 5, got);
		got += (size_t)n;
	}
	EXPECT_EQ(got, accepted);
	EXPECT_EQ(weft_tls_read(end[1], in, 1, weft_in(5 * MS)), -ETIMEDOUT);
	/* And there is room again. */
	EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), 1);
	EXPECT_EQ(weft_tls_read(end[1], in, 1, soon()), 1);
	close_both(end);
	drop_certificates();
}

/* A close must not wait for a peer that takes nothing, nor leave what was sending behind. */
TEST(a_close_over_a_full_line_ends_at_its_deadline)
{
	static unsigned char out[300000];
	int goroutines;
	weft_tls *end[2];

	goroutines = weft_numgoroutine();
	plain_tls_pair(end);
	while (weft_numgoroutine() > goroutines)
		weft_yield();		/* that of the other side's handshake ends */
	while (weft_tls_write(end[0], out, sizeof(out), weft_in(20 * MS)) > 0)
		continue;
	EXPECT_EQ(weft_numgoroutine(), goroutines + 1);
	EXPECT_EQ(weft_tls_close(end[0], weft_in(20 * MS)), -ETIMEDOUT);
	while (weft_numgoroutine() > goroutines)
		weft_yield();
	weft_tls_close(end[1], soon());
	drop_certificates();
}

static int
read_one(void *arg)
{
	char byte;

	return (int)weft_tls_read(arg, &byte, 1, WEFT_FOREVER);
}

static int
close_cancelled(void *arg)
{
	while (weft_scope_err(weft_scope_current()) == 0)
		weft_yield();
	return weft_tls_close(arg, soon());
}

/* A cancelled goroutine leaves its read; the connection can be used by another. */
TEST(cancelling_a_scope_ends_its_reads)
{
	weft_tls *end[2];
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);
	char byte;

	plain_tls_pair(end);
	EXPECT_EQ(weft_scope_go(s, read_one, end[0]), 0);
	let_run();
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
	EXPECT_EQ(weft_tls_write(end[1], "x", 1, soon()), 1);
	EXPECT_EQ(weft_tls_read(end[0], &byte, 1, soon()), 1);
	/* What closes for a goroutine that is cancelled runs in its scope, too. */
	s = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT_EQ(weft_scope_go(s, close_cancelled, end[0]), 0);
	weft_scope_cancel(s, -ECANCELED);
	EXPECT_EQ(weft_scope_wait(s, soon()), 0);
	weft_scope_free(s);
	EXPECT_EQ(weft_tls_read(end[1], &byte, 1, soon()), 0);
	weft_tls_close(end[1], soon());
	drop_certificates();
}

/* ---- several users ---- */

enum { WRITERS = 8, LINES = 40, LINE = 30000 };

struct writer {
	weft_tls *t;
	int number;
};

static void
write_lines(void *arg)
{
	struct writer *w = arg;
	char *line = malloc(LINE);

	memset(line, 'a' + w->number, LINE);
	for (int i = 0; i < LINES / test_scale(); i++)
		EXPECT_EQ(weft_tls_write(w->t, line, LINE, soon()), LINE);
	free(line);
}

/* A message of several records is whole: those of others come before or after it. */
TEST(writers_stand_in_line)
{
	struct writer w[WRITERS];
	weft_waitgroup all = {0};
	int count[WRITERS] = {0};
	char *line = malloc(LINE);
	weft_tls *end[2];

	plain_tls_pair(end);
	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){end[0], i};
		EXPECT_EQ(weft_waitgroup_go(&all, write_lines, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS * (LINES / test_scale()); i++) {
		tls_read_all(end[1], line, LINE);
		for (int k = 1; k < LINE; k++)
			EXPECT(line[k] == line[0]);
		count[line[0] - 'a']++;
	}
	for (int i = 0; i < WRITERS; i++)
		EXPECT_EQ(count[i], LINES / test_scale());
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	free(line);
	close_both(end);
	drop_certificates();
}

static void
echo_one(void *arg)
{
	char byte;

	EXPECT_EQ(weft_tls_read(arg, &byte, 1, soon()), 1);
	EXPECT_EQ(weft_tls_write(arg, &byte, 1, soon()), 1);
}

/* Whoever is first shakes hands, for all that come at the same time. */
TEST(users_that_come_before_the_handshake_share_it)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_waitgroup all = {0};
	weft_tls *end[2];
	char byte;

	tls_ends(client, "localhost", server, end);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(weft_waitgroup_go(&all, echo_one, end[1]), 0);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), 1);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(weft_tls_read(end[0], &byte, 1, soon()), 1);
	EXPECT_EQ(weft_waitgroup_wait(&all, soon()), 0);
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

static void
serve_one(void *arg)
{
	struct handshake *h = arg;
	int fd = weft_accept(h->result, NULL, NULL, soon());
	char byte;

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_tls_server((weft_tls_context *)(void *)h->t, fd, &h->t), 0);
	EXPECT_EQ(weft_tls_read(h->t, &byte, 1, soon()), 1);
	EXPECT_EQ(weft_tls_write(h->t, &byte, 1, soon()), 1);
	EXPECT_EQ(weft_tls_close(h->t, soon()), 0);
}

/* The short way to a server: one call, and none of it left if it fails. */
TEST(a_dial_makes_the_whole_connection)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good"),
			 *other = server_with("other");
	char address[32], byte;
	int listener = listen_local(address), before;
	weft_tls *t;

	for (int i = 0; i < 2; i++) {
		struct handshake h = {.t = (weft_tls *)(void *)server, .result = listener};

		EXPECT_EQ(weft_waitgroup_go(&h.done, serve_one, &h), 0);
		EXPECT_EQ(weft_tls_dial(client, "tcp", address, &t, soon()), 0);
		EXPECT_EQ(weft_tls_write(t, "x", 1, soon()), 1);
		EXPECT_EQ(weft_tls_read(t, &byte, 1, soon()), 1);
		EXPECT_EQ(weft_tls_close(t, soon()), 0);
		EXPECT_EQ(weft_waitgroup_wait(&h.done, soon()), 0);
	}
	before = open_fds();
	/* Somebody who accepts and says nothing. */
	EXPECT_EQ(weft_tls_dial(client, "tcp", address, &t, weft_in(20 * MS)), -ETIMEDOUT);
	expect_open(before);
	EXPECT_EQ(weft_close(listener), 0);
	EXPECT_EQ(weft_tls_dial(client, "tcp", address, &t, soon()), -ECONNREFUSED);
	EXPECT_EQ(weft_tls_dial(client, "tcp", "nonsense", &t, soon()), -EINVAL);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	weft_tls_context_free(other);
	drop_certificates();
}
