/*
 * Programs made of channels, as people write them: chains, sieves, servers with reply channels,
 * recursion. SCENARIOS 17, 22, 24, 31.
 */
#include <stdio.h>
#include "chan_util.h"

/* ---- A chain ---- */

struct link {
	weft_chan *left, *right;
};

static void
pass_on(void *arg)
{
	struct link *l = arg;

	send_int(l->left, recv_int(l->right) + 1);
}

/* Pages of memory that the process has. */
static long
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all, pages;

	EXPECT(f != NULL);
	EXPECT_EQ(fscanf(f, "%ld %ld", &all, &pages), 2);
	fclose(f);
	return pages;
}

/*
 * SCENARIOS 17: one wake-up lost among 10,000 stops everything; and a chain that has ended must
 * give its memory to the next one.
 */
static void
chain(void)
{
	long after_first = 0;
	int n = scaled(10000);
	struct link *links = calloc((size_t)n, sizeof(*links));
	weft_chan *leftmost = chan_int(0);
	weft_chan *right = leftmost;

	for (int round = 0; round < 4; round++) {
		weft_chan *left = leftmost;

		for (int i = 0; i < n; i++) {
			right = chan_int(0);
			links[i] = (struct link){left, right};
			go(pass_on, &links[i]);
			left = right;
		}
		send_int(right, round);
		EXPECT_EQ(recv_int(leftmost), n + round);
		for (int i = 0; i < n; i++)
			weft_chan_unref(links[i].right);
		while (weft_numgoroutine() > 1)
			weft_yield();
		if (round == 0)
			after_first = resident();
	}
	/* A sanitizer keeps what was freed for a while. */
	if (test_scale() == 1)
		EXPECT(resident() < after_first + after_first / 4);
	weft_chan_unref(leftmost);
	free(links);
}

TEST(a_chain_of_ten_thousand)
{
	on_1_2_4_procs(chain);
}

/* ---- Sieves ---- */

struct sieve {
	weft_chan *in, *out, *done;
	int prime;
	size_t cap;
};

/* 2, 3, 4, ... until nobody wants them any more. */
static void
generate(void *arg)
{
	struct sieve *s = arg;

	for (int i = 2; weft_chan_send(s->out, &i, WEFT_FOREVER) == 0; i++)
		;
	signal_one(s->done);
}

/* Ends when its consumer has closed out, and passes that on to its producer. */
static void
filter(void *arg)
{
	struct sieve *s = arg;

	for (;;) {
		int v = recv_int(s->in);

		if (v % s->prime != 0 && weft_chan_send(s->out, &v, WEFT_FOREVER) != 0)
			break;
	}
	weft_chan_close(s->in);
	signal_one(s->done);
}

#define PRIMES 100

static void
run_sieve(size_t cap)
{
	static const int every_tenth[] = {2, 31, 73, 127, 179, 233, 283, 353, 419, 467};
	struct sieve s[PRIMES + 1];
	weft_chan *done = chan_signal(0);
	weft_chan *c = chan_int(cap);

	s[0] = (struct sieve){NULL, c, done, 0, cap};
	go(generate, &s[0]);
	for (int i = 0; i < PRIMES; i++) {
		int prime = recv_int(c);

		if (i % 10 == 0)
			EXPECT_EQ(prime, every_tenth[i / 10]);
		if (i == PRIMES - 1)
			EXPECT_EQ(prime, 541);
		s[i + 1] = (struct sieve){c, chan_int(cap), done, prime, cap};
		go(filter, &s[i + 1]);
		c = s[i + 1].out;
	}
	weft_chan_close(c);
	await(done, PRIMES + 1);
	for (int i = 0; i <= PRIMES; i++)
		weft_chan_unref(s[i].out);
	weft_chan_unref(done);
}

/* SCENARIOS 22: the classic, in which every goroutine waits for two others all the time. */
static void
sieves(void)
{
	run_sieve(0);
	run_sieve(10);
}

TEST(prime_sieves)
{
	on_1_2_4_procs(sieves);
}

/* ---- Matrices of senders and receivers ---- */

#define CHANS_MAX 8

struct matrix {
	weft_chan *c[CHANS_MAX], *done;
	int nchans, per_chan;
	_Atomic int next_single; /* which channel the next single peer serves */
	_Atomic int to_send[CHANS_MAX];
	_Atomic int to_recv[CHANS_MAX];
	_Atomic int sends, recvs;
	_Atomic long long sum;
};

/* One of what is left of n, or false. */
static bool
reserve(_Atomic int *n)
{
	int left = atomic_load(n);

	while (left > 0)
		if (atomic_compare_exchange_weak(n, &left, left - 1))
			return true;
	return false;
}

static void
single_sender(void *arg)
{
	struct matrix *m = arg;
	int k = atomic_fetch_add(&m->next_single, 1) % m->nchans;

	while (reserve(&m->to_send[k])) {
		send_int(m->c[k], k + 1);
		atomic_fetch_add(&m->sends, 1);
		atomic_fetch_add(&m->sum, k + 1);
	}
	signal_one(m->done);
}

static void
single_receiver(void *arg)
{
	struct matrix *m = arg;
	int k = atomic_fetch_add(&m->next_single, 1) % m->nchans;

	while (reserve(&m->to_recv[k])) {
		EXPECT_EQ(recv_int(m->c[k]), k + 1);
		atomic_fetch_add(&m->recvs, 1);
		atomic_fetch_sub(&m->sum, k + 1);
	}
	signal_one(m->done);
}

/*
 * Selects over what it has reserved one of, in each channel; a channel that is used up becomes
 * NULL. So each waits for exactly as many as the other side will bring, and all must meet.
 */
static void
selecting(struct matrix *m, bool sends)
{
	weft_case cases[CHANS_MAX];
	int v[CHANS_MAX];
	int live = 0;

	for (int k = 0; k < m->nchans; k++) {
		bool mine = reserve(sends ? &m->to_send[k] : &m->to_recv[k]);
		weft_chan *c = mine ? m->c[k] : NULL;

		v[k] = k + 1;
		cases[k] = sends ? WEFT_SEND(c, &v[k]) : WEFT_RECV(c, &v[k]);
		live += mine;
	}
	while (live > 0) {
		int k = weft_select(cases, (size_t)m->nchans, WEFT_FOREVER);

		EXPECT(k >= 0 && k < m->nchans);
		EXPECT_EQ(cases[k].res, sends ? 0 : 1);
		EXPECT_EQ(v[k], k + 1);
		atomic_fetch_add(sends ? &m->sends : &m->recvs, 1);
		atomic_fetch_add(&m->sum, sends ? k + 1 : -(k + 1));
		if (!reserve(sends ? &m->to_send[k] : &m->to_recv[k])) {
			cases[k].chan = NULL;
			live--;
		}
	}
	signal_one(m->done);
}

static void
selecting_sender(void *arg)
{
	selecting(arg, true);
}

static void
selecting_receiver(void *arg)
{
	selecting(arg, false);
}

struct set_up {
	int chans, single_senders, selecting_senders, single_receivers, selecting_receivers;
};

static void
run_matrix(const struct set_up *u, size_t cap)
{
	struct matrix m = {.nchans = u->chans, .per_chan = scaled(500), .done = chan_signal(0)};

	for (int k = 0; k < m.nchans; k++) {
		m.c[k] = chan_int(cap);
		atomic_store(&m.to_send[k], m.per_chan);
		atomic_store(&m.to_recv[k], m.per_chan);
	}
	for (int i = 0; i < u->single_senders; i++)
		go(single_sender, &m);
	for (int i = 0; i < u->selecting_senders; i++)
		go(selecting_sender, &m);
	while (atomic_load(&m.next_single) < u->single_senders)
		weft_yield();
	atomic_store(&m.next_single, 0);
	for (int i = 0; i < u->single_receivers; i++)
		go(single_receiver, &m);
	for (int i = 0; i < u->selecting_receivers; i++)
		go(selecting_receiver, &m);
	await(m.done, u->single_senders + u->selecting_senders + u->single_receivers +
			  u->selecting_receivers);
	EXPECT_EQ(atomic_load(&m.sends), m.nchans * m.per_chan);
	EXPECT_EQ(atomic_load(&m.recvs), m.nchans * m.per_chan);
	EXPECT_EQ(atomic_load(&m.sum), 0);
	for (int k = 0; k < m.nchans; k++)
		weft_chan_unref(m.c[k]);
	weft_chan_unref(m.done);
}

/* SCENARIOS 24: from one pair to many on many channels; totals are exact, nobody is stuck. */
static void
matrices(void)
{
	static const struct set_up set_ups[] = {
	    {1, 1, 0, 1, 0},
	    {8, 8, 0, 8, 0},
	    {8, 8, 0, 0, 1},
	    {8, 0, 1, 8, 0},
	    {8, 0, 1, 0, 1},
	    {8, 8, 4, 8, 4},
	};

	for (size_t i = 0; i < sizeof(set_ups) / sizeof(set_ups[0]); i++) {
		run_matrix(&set_ups[i], 0);
		run_matrix(&set_ups[i], 3);
	}
}

TEST(senders_and_receivers_in_six_set_ups)
{
	on_1_2_4_procs(matrices);
}

/* ---- A server with reply channels ---- */

struct request {
	int a, b;
	weft_chan *reply;
};

static void
serve(void *arg)
{
	weft_chan *requests = arg;
	struct request q;

	while (weft_chan_recv(requests, &q, WEFT_FOREVER) == 1) {
		send_int(q.reply, q.a + q.b);
		weft_chan_unref(q.reply);
	}
	weft_chan_unref(requests);
}

struct client {
	weft_chan *requests, *done;
};

static void
ask(void *arg)
{
	struct client *c = arg;

	for (int i = 0; i < scaled(300); i++) {
		struct request q = {i, 2 * i, chan_int((size_t)(i % 2))};

		weft_chan_ref(q.reply); /* the server's */
		EXPECT_EQ(weft_chan_send(c->requests, &q, WEFT_FOREVER), 0);
		EXPECT_EQ(recv_int(q.reply), 3 * i);
		weft_chan_unref(q.reply);
	}
	signal_one(c->done);
}

/*
 * SCENARIOS 24: a channel inside a message, freed by whoever is last: a reference too few is a use
 * after free.
 */
static void
replies(void)
{
	struct client c = {chan_make(sizeof(struct request), 0), chan_signal(0)};

	for (int i = 0; i < 3; i++)
		go(serve, weft_chan_ref(c.requests));
	for (int i = 0; i < 10; i++)
		go(ask, &c);
	await(c.done, 10);
	weft_chan_close(c.requests);
	weft_chan_unref(c.requests);
	weft_chan_unref(c.done);
}

TEST(requests_carry_their_reply_channel)
{
	on_1_2_4_procs(replies);
}

/* ---- Recursion ---- */

enum { LEVELS = 10, FACTORIAL_OF_9 = 362880 };

/* For 40,320 calls inside each other, with the frames of a sanitizer. */
#define DEEP_STACK ((size_t)256 << 20)

/* Numbers that can only be counted up: the work is in the depth of the calls. */
static __attribute__((noinline)) int
peano_add(int a, int b)
{
	volatile int sum;

	sum = b == 0 ? a : peano_add(a, b - 1) + 1;
	return sum;
}

static int
peano_mul(int a, int b)
{
	return b == 0 ? 0 : peano_add(peano_mul(a, b - 1), a);
}

struct factorial {
	int n;
	weft_chan *reply;
};

static const weft_go_options deep = {.size = sizeof(deep), .stack_size = DEEP_STACK};

static void
peano_factorial(void *arg)
{
	struct factorial *f = arg;
	int below = 1;

	if (f->n > 0) {
		struct factorial sub = {f->n - 1, chan_int(0)};

		EXPECT_EQ(weft_go_with(&deep, peano_factorial, &sub), 0);
		below = peano_mul(recv_int(sub.reply), f->n);
		weft_chan_unref(sub.reply);
	}
	send_int(f->reply, below);
}

/* SCENARIOS 31: each level waits on its own stack while the one below goes 40,000 calls deep. */
static void
peano(void)
{
	struct factorial f = {LEVELS - 1, chan_int(0)};

	EXPECT_EQ(weft_go_with(&deep, peano_factorial, &f), 0);
	EXPECT_EQ(recv_int(f.reply), FACTORIAL_OF_9);
	weft_chan_unref(f.reply);
}

TEST(recursion_over_channels)
{
	on_1_2_4_procs(peano);
}
