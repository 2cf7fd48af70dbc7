/*
 * What select promises when nothing races: which case goes, what it reports, what it leaves alone.
 * SCENARIOS 40, 41, 44, 45, 48; RELIABILITY 90, 96, 97, 99, 107, 108.
 */
#include "chan_util.h"

/* Sizes on both sides of where select changes where it keeps its records and how it sorts. */
static const int sizes[] = {1, 2, 3, 7, 8, 9, 10, 63, 64, 65, 66, 300};

#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))
#define CASES_MAX 300

struct wide {
	weft_chan *c[CASES_MAX], *done;
	int value[CASES_MAX];
	weft_case cases[CASES_MAX];
	int n, went;
	_Atomic int entered;
};

static void
wide_make(struct wide *w, int n, size_t cap)
{
	memset(w, 0, sizeof(*w));
	w->n = n;
	w->done = chan_signal(0);
	for (int i = 0; i < n; i++) {
		w->c[i] = chan_int(cap);
		w->value[i] = -1;
		w->cases[i] = WEFT_RECV(w->c[i], &w->value[i]);
		w->cases[i].res = 77;
	}
}

static void
wide_free(struct wide *w)
{
	for (int i = 0; i < w->n; i++)
		weft_chan_unref(w->c[i]);
	weft_chan_unref(w->done);
}

/* Only case went has a value and a result; the others look as before. */
static void
wide_expect(struct wide *w, int went, int value, int res)
{
	for (int i = 0; i < w->n; i++) {
		EXPECT_EQ(w->value[i], i == went ? value : -1);
		EXPECT_EQ(w->cases[i].res, i == went ? res : 77);
		EXPECT(w->cases[i].chan == w->c[i]);
		EXPECT(w->cases[i].elem == &w->value[i]);
	}
}

/* SCENARIOS 44; RELIABILITY 97: a value in the wrong variable, or a result in the wrong case. */
TEST(only_the_case_that_went_is_written)
{
	struct wide *w = malloc(sizeof(*w));

	for (size_t s = 0; s < NSIZES; s++) {
		int n = sizes[s];

		for (int i = 0; i < n; i += 1 + n / 10) {
			wide_make(w, n, 1);
			EXPECT_EQ(weft_select(w->cases, (size_t)n, WEFT_NOW), -ETIMEDOUT);
			wide_expect(w, -1, 0, 0);
			send_int(w->c[i], 1000 + i);
			EXPECT_EQ(
			    weft_select(w->cases, (size_t)n, i % 2 ? WEFT_NOW : WEFT_FOREVER), i);
			wide_expect(w, i, 1000 + i, 1);
			EXPECT_EQ(weft_chan_len(w->c[i]), 0);
			wide_free(w);
		}
	}
	free(w);
}

/* SCENARIOS 44: a macro that named an operand twice would take two elements off a list for one. */
TEST(each_operand_is_evaluated_once)
{
	weft_chan *chans[] = {chan_int(1), chan_int(1), NULL}, **c = chans;
	int values[] = {4, 5, 6}, *v = values;
	weft_case send = WEFT_SEND(*c++, v++);
	weft_case recv = WEFT_RECV(*c++, v++);
	weft_case cases[] = {send, recv};

	EXPECT(c == chans + 2 && v == values + 2);
	EXPECT(send.chan == chans[0] && send.elem == &values[0]);
	EXPECT(recv.chan == chans[1] && recv.elem == &values[1]);
	EXPECT_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
	EXPECT_EQ(recv_int(chans[0]), 4);
	weft_chan_unref(chans[0]);
	weft_chan_unref(chans[1]);
}

static void
wide_wait(void *arg)
{
	struct wide *w = arg;

	atomic_store(&w->entered, 1);
	w->went = weft_select(w->cases, (size_t)w->n, WEFT_FOREVER);
	signal_one(w->done);
}

/* The same when the value comes later, into the frame of a goroutine that sleeps. SCENARIOS 48. */
static void
late_values(void)
{
	struct wide *w = malloc(sizeof(*w));

	for (size_t s = 0; s < NSIZES; s++) {
		int n = sizes[s];

		for (int i = 0; i < n; i += 1 + n / 5) {
			wide_make(w, n, i % 2 ? 1 : 0);
			go(wide_wait, w);
			if (i % 3 == 0)
				await_count(&w->entered, 1);
			send_int(w->c[i], 2000 + i);
			await(w->done, 1);
			EXPECT_EQ(w->went, i);
			wide_expect(w, i, 2000 + i, 1);

			/* SCENARIOS 45: nothing of the select is left on any channel. */
			for (int k = 0; k < n; k++) {
				EXPECT_EQ(weft_chan_recv(w->c[k], NULL, WEFT_NOW), -ETIMEDOUT);
				EXPECT_EQ(try_send_int(w->c[k], 0), i % 2 ? 0 : -ETIMEDOUT);
			}
			wide_free(w);
		}
	}
	free(w);
}

TEST(a_value_that_comes_later_goes_to_its_case)
{
	on_1_2_4_procs(late_values);
}

/* SCENARIOS 41; RELIABILITY 97: also by close, which must name the channel that was closed. */
static void
late_closes(void)
{
	struct wide *w = malloc(sizeof(*w));

	for (size_t s = 0; s < NSIZES; s++) {
		int n = sizes[s], i = n / 2;

		wide_make(w, n, 0);
		go(wide_wait, w);
		await_count(&w->entered, 1);
		weft_chan_close(w->c[i]);
		await(w->done, 1);
		EXPECT_EQ(w->went, i);
		wide_expect(w, i, 0, 0);

		/* From now on it is always ready. */
		for (int k = 0; k < 3; k++) {
			w->value[i] = 9;
			EXPECT_EQ(weft_select(w->cases, (size_t)n, k ? WEFT_FOREVER : WEFT_NOW), i);
			wide_expect(w, i, 0, 0);
		}
		wide_free(w);
	}
	free(w);
}

TEST(a_close_that_comes_later_goes_to_its_case)
{
	on_1_2_4_procs(late_closes);
}

struct closing {
	weft_chan *c, *other, *done;
	_Atomic int entered;
	int went, res;
};

static void
select_to_send(void *arg)
{
	struct closing *x = arg;
	int v = 5;
	weft_case cases[] = {WEFT_RECV(x->other, NULL), WEFT_SEND(x->c, &v)};

	atomic_store(&x->entered, 1);
	x->went = weft_select(cases, 2, WEFT_FOREVER);
	x->res = cases[1].res;
	signal_one(x->done);
}

/* SCENARIOS 40; RELIABILITY 107: a select must not believe that it sent to a closed channel. */
static void
sends_to_closed(void)
{
	for (size_t cap = 0; cap < 2; cap++) {
		struct closing x = {
		    .c = chan_int(cap), .other = chan_int(0), .done = chan_signal(0)};

		if (cap == 1)
			send_int(x.c, 1);
		go(select_to_send, &x);
		await_count(&x.entered, 1);
		weft_sleep(1 * MS);
		weft_chan_close(x.c);
		await(x.done, 1);
		EXPECT_EQ(x.went, 1);
		EXPECT_EQ(x.res, -EPIPE);

		/* And when it was closed before. */
		go(select_to_send, &x);
		await(x.done, 1);
		EXPECT_EQ(x.went, 1);
		EXPECT_EQ(x.res, -EPIPE);
		weft_chan_unref(x.c);
		weft_chan_unref(x.other);
		weft_chan_unref(x.done);
	}
}

TEST(a_send_case_on_a_closed_channel_is_epipe)
{
	on_1_2_4_procs(sends_to_closed);
}

/* ---- Tables ---- */

struct situation {
	weft_chan *empty, *full, *half, *closed, *rest, *rendezvous;
};

static struct situation
situation(void)
{
	struct situation s = {
	    chan_int(2), chan_int(2), chan_int(2), chan_int(2), chan_int(2), chan_int(0)};

	send_int(s.full, 1);
	send_int(s.full, 2);
	send_int(s.half, 3);
	weft_chan_close(s.closed);
	send_int(s.rest, 4);
	weft_chan_close(s.rest);
	return s;
}

static void
situation_free(struct situation *s)
{
	weft_chan_unref(s->empty);
	weft_chan_unref(s->full);
	weft_chan_unref(s->half);
	weft_chan_unref(s->closed);
	weft_chan_unref(s->rest);
	weft_chan_unref(s->rendezvous);
}

/* One operation as a plain call, as the only case, and among others: always the same. */
static void
expect_op(size_t which, int op, int64_t deadline, int res, int value)
{
	for (int way = 0; way < 4; way++) {
		struct situation s = situation();
		weft_chan *c = which == SIZE_MAX ? NULL : ((weft_chan **)&s)[which];
		int v = 50, unread = 60;
		weft_case it = op == WEFT_OP_SEND ? WEFT_SEND(c, &v) : WEFT_RECV(c, &v);
		weft_case one[] = {it};
		weft_case two[] = {WEFT_RECV(NULL, NULL), it};
		weft_case three[] = {WEFT_RECV(s.empty, &unread), it, WEFT_SEND(s.full, &unread)};
		weft_case *cases = way == 1 ? one : way == 2 ? two : three;
		size_t n = (size_t)way;
		int at = way == 1 ? 0 : 1;
		int r;

		if (way == 0) {
			r = op == WEFT_OP_SEND ? weft_chan_send(c, &v, deadline)
			                       : weft_chan_recv(c, &v, deadline);
		} else {
			r = weft_select(cases, n, deadline);
			if (res == -ETIMEDOUT) {
				EXPECT_EQ(r, res);
			} else {
				EXPECT_EQ(r, at);
				r = cases[at].res;
			}
		}
		EXPECT_EQ(r, res);
		EXPECT_EQ(v, value);
		EXPECT_EQ(unread, 60);
		situation_free(&s);
	}
}

/*
 * RELIABILITY 96, 99, 108: every kind of channel, both ways, with every kind of deadline. What can
 * go goes, however late; what can't does not go because it waits in a select.
 */
TEST(what_can_go_goes_and_nothing_else)
{
	enum { EMPTY, FULL, HALF, CLOSED, REST, RENDEZVOUS };
	int64_t deadlines[] = {WEFT_NOW, -1, 1, weft_now(), weft_in(1), weft_in(US), weft_in(MS)};
	int64_t long_ones[] = {WEFT_FOREVER, weft_in(3600 * SECOND)};

	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]) + 2; i++) {
		size_t nshort = sizeof(deadlines) / sizeof(deadlines[0]);
		int64_t d = i < nshort ? deadlines[i] : long_ones[i - nshort];

		expect_op(FULL, WEFT_OP_RECV, d, 1, 1);
		expect_op(HALF, WEFT_OP_RECV, d, 1, 3);
		expect_op(HALF, WEFT_OP_SEND, d, 0, 50);
		expect_op(EMPTY, WEFT_OP_SEND, d, 0, 50);
		expect_op(CLOSED, WEFT_OP_RECV, d, 0, 0);
		expect_op(CLOSED, WEFT_OP_SEND, d, -EPIPE, 50);
		expect_op(REST, WEFT_OP_RECV, d, 1, 4);
		expect_op(REST, WEFT_OP_SEND, d, -EPIPE, 50);
		if (i >= nshort)
			continue;
		expect_op(EMPTY, WEFT_OP_RECV, d, -ETIMEDOUT, 50);
		expect_op(FULL, WEFT_OP_SEND, d, -ETIMEDOUT, 50);
		expect_op(RENDEZVOUS, WEFT_OP_RECV, d, -ETIMEDOUT, 50);
		expect_op(RENDEZVOUS, WEFT_OP_SEND, d, -ETIMEDOUT, 50);
		expect_op(SIZE_MAX, WEFT_OP_RECV, d, -ETIMEDOUT, 50);
		expect_op(SIZE_MAX, WEFT_OP_SEND, d, -ETIMEDOUT, 50);
	}
}

/* RELIABILITY 99: all closed, with a deadline: ready at once, not a deadlock, not the deadline. */
TEST(all_cases_closed)
{
	for (size_t n = 1; n <= 70; n += 23) {
		weft_case cases[70];
		int64_t start = weft_now();

		for (size_t i = 0; i < n; i++) {
			cases[i] = WEFT_RECV(chan_int(0), NULL);
			weft_chan_close(cases[i].chan);
		}
		for (int k = 0; k < 4; k++) {
			static const int64_t ahead[] = {0, 1, SECOND * 100, INT64_MAX};
			int went = weft_select(cases, n,
			    ahead[k] == INT64_MAX ? WEFT_FOREVER
			    : ahead[k] == 0       ? WEFT_NOW
						  : weft_in(ahead[k]));

			EXPECT(went >= 0 && (size_t)went < n);
			EXPECT_EQ(cases[went].res, 0);
		}
		EXPECT(weft_now() - start < 50 * SECOND);
		for (size_t i = 0; i < n; i++)
			weft_chan_unref(cases[i].chan);
	}
}

/* No cases, or only NULL ones: the deadline is all there is to wait for. */
TEST(no_live_case_waits_for_the_deadline)
{
	int v = 0;
	weft_case nil[] = {WEFT_RECV(NULL, &v), WEFT_SEND(NULL, &v), WEFT_RECV(NULL, NULL)};

	for (size_t n = 0; n <= 3; n++) {
		int64_t until = weft_in(2 * MS);

		EXPECT_EQ(weft_select(n ? nil : NULL, n, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_select(n ? nil : NULL, n, until), -ETIMEDOUT);
		EXPECT(weft_now() >= until);
	}
}

/* A zeroed case has no channel and is skipped; a channel without an operation is a bug: say so. */
static void
bad_case(void *arg)
{
	weft_case cases[2];

	memset(cases, 0, sizeof(cases));
	cases[1].chan = arg;
	weft_select(cases, 2, WEFT_NOW);
}

TEST(a_case_without_operation_panics)
{
	weft_chan *c = chan_int(1);
	char msg[100] = "";

	EXPECT_EQ(weft_try(bad_case, NULL, msg, sizeof(msg)), 0);
	EXPECT_EQ(weft_try(bad_case, c, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "select: case 1 is no send, receive or wait");
	EXPECT_EQ(try_send_int(c, 1), 0);
	weft_chan_unref(c);
}

/* ---- One channel in several cases ---- */

/* RELIABILITY 90: locked twice it hangs, queued wrongly it loses its other waiters. */
TEST(the_same_channel_in_several_cases)
{
	weft_chan *c = chan_int(2);
	weft_chan *r = chan_int(0);
	int a = -1, b = -1, x = 10, y = 11;
	int sends = 0, recvs = 0;

	for (int i = 0; i < 1000; i++) {
		weft_case cases[] = {
		    WEFT_RECV(c, &a), WEFT_SEND(c, &x), WEFT_RECV(c, &b), WEFT_SEND(c, &y)};
		size_t len = weft_chan_len(c);
		int went = weft_select(cases, 4, i % 2 ? WEFT_NOW : WEFT_FOREVER);

		EXPECT(went >= 0 && went < 4);
		if (went % 2 == 0) {
			EXPECT_EQ(cases[went].res, 1);
			EXPECT_EQ(weft_chan_len(c), len - 1);
			recvs++;
		} else {
			EXPECT_EQ(cases[went].res, 0);
			EXPECT_EQ(weft_chan_len(c), len + 1);
			sends++;
		}
	}
	EXPECT_EQ(sends - recvs, (int)weft_chan_len(c));
	EXPECT(recvs > 100);

	/* A select never meets itself: it would have sent to nobody. */
	for (int i = 0; i < 100; i++) {
		weft_case cases[] = {
		    WEFT_SEND(r, &x), WEFT_RECV(r, &a), WEFT_SEND(r, &y), WEFT_RECV(r, &b)};

		EXPECT_EQ(weft_select(cases, 4, WEFT_NOW), -ETIMEDOUT);
		EXPECT_EQ(weft_select(cases, 4, weft_in(20 * US)), -ETIMEDOUT);
		EXPECT_EQ(weft_select(cases, 2, weft_in(20 * US)), -ETIMEDOUT);
	}
	EXPECT_EQ(weft_chan_recv(r, NULL, WEFT_NOW), -ETIMEDOUT);
	EXPECT_EQ(try_send_int(r, 0), -ETIMEDOUT);
	weft_chan_unref(c);
	weft_chan_unref(r);
}

/* ---- Waits that end otherwise ---- */

/* SCENARIOS 45. */
TEST(a_select_that_timed_out_leaves_nothing)
{
	struct wide *w = malloc(sizeof(*w));

	for (size_t s = 0; s < NSIZES; s++) {
		int n = sizes[s];
		int64_t until;

		wide_make(w, n, 0);
		until = weft_in(1 * MS);
		EXPECT_EQ(weft_select(w->cases, (size_t)n, until), -ETIMEDOUT);
		EXPECT(weft_now() >= until);
		wide_expect(w, -1, 0, 0);
		for (int i = 0; i < n; i++)
			EXPECT_EQ(try_send_int(w->c[i], 1), -ETIMEDOUT);
		wide_free(w);
	}
	free(w);
}

struct cancelled {
	weft_chan *a, *b;
	weft_case cases[CASES_MAX];
	int n;
	_Atomic int entered;
};

static int
wait_cancelled(void *arg)
{
	struct cancelled *x = arg;
	int v = 7;

	atomic_fetch_add(&x->entered, 1);
	EXPECT_EQ(weft_chan_recv(x->a, &v, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_chan_recv(x->a, &v, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_chan_recv(NULL, &v, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_chan_send(NULL, &v, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_chan_send(x->a, &v, weft_in(100 * SECOND)), -ECANCELED);
	EXPECT_EQ(weft_select(x->cases, (size_t)x->n, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(weft_select(NULL, 0, WEFT_FOREVER), -ECANCELED);
	EXPECT_EQ(v, 7);
	/* What can go at once still goes. */
	EXPECT_EQ(weft_chan_recv(x->b, &v, WEFT_FOREVER), 1);
	EXPECT_EQ(v, 3);
	weft_case ready[] = {WEFT_RECV(x->a, &v), WEFT_SEND(x->b, &v)};

	EXPECT_EQ(weft_select(ready, 2, WEFT_FOREVER), 1);
	return 0;
}

static int
select_cancelled(void *arg)
{
	struct cancelled *x = arg;

	atomic_fetch_add(&x->entered, 1);
	EXPECT_EQ(weft_select(x->cases, (size_t)x->n, WEFT_FOREVER), -ECANCELED);
	return 0;
}

static int
send_cancelled(void *arg)
{
	struct cancelled *x = arg;
	int v = 1;

	atomic_fetch_add(&x->entered, 1);
	EXPECT_EQ(weft_chan_send(x->a, &v, WEFT_FOREVER), -ECANCELED);
	return 0;
}

/* A cancelled goroutine that waits on for a channel keeps its scope, and its parent, for ever. */
static void
cancel_ends_waits(void)
{
	for (size_t s = 0; s < NSIZES; s++) {
		struct cancelled *x = calloc(1, sizeof(*x));
		weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

		x->a = chan_int(0);
		x->b = chan_int(1);
		x->n = sizes[s];
		for (int i = 0; i < x->n; i++)
			x->cases[i] = WEFT_RECV(chan_int(0), NULL);
		send_int(x->b, 3);
		EXPECT_EQ(weft_scope_go(scope, select_cancelled, x), 0);
		EXPECT_EQ(weft_scope_go(scope, s % 2 ? send_cancelled : wait_cancelled, x), 0);
		await_count(&x->entered, 2);
		if (s % 3 == 0)
			weft_sleep(1 * MS);
		weft_scope_cancel(scope, -ECANCELED);
		EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
		weft_scope_free(scope);

		/* Nobody is on a queue any more. */
		EXPECT_EQ(try_send_int(x->a, 0), -ETIMEDOUT);
		EXPECT_EQ(weft_chan_recv(x->a, NULL, WEFT_NOW), -ETIMEDOUT);
		for (int i = 0; i < x->n; i++) {
			EXPECT_EQ(try_send_int(x->cases[i].chan, 0), -ETIMEDOUT);
			weft_chan_unref(x->cases[i].chan);
		}
		weft_chan_unref(x->a);
		weft_chan_unref(x->b);
		free(x);
	}
}

TEST(cancelling_a_scope_ends_channel_waits)
{
	on_1_2_4_procs(cancel_ends_waits);
}
