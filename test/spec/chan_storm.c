/*
 * Deadlines, cancellations and closes, all at once on the same channels: no element is lost, none
 * is doubled, nobody is left waiting.
 */
#include "scope_util.h"

enum { SENDERS = 6, RECEIVERS = 6, MAX = 40000 };

struct storm {
	weft_chan *c, *other;
	_Atomic int next;		/* the next element to be sent */
	_Atomic unsigned char sent[MAX], got[MAX];
	_Atomic int ended;
	int rounds;
};

static int64_t
some_deadline(unsigned *state)
{
	switch (small_rand(state, 4)) {
	case 0:
		return WEFT_NOW;
	case 1:
		return WEFT_FOREVER;
	default:
		return weft_in((int64_t)small_rand(state, 40) * US);
	}
}

/* What the plain call returns: by itself, or as a case of a select that could do otherwise. */
static int
do_op(struct storm *s, int *elem, bool sends, unsigned *state)
{
	int64_t deadline = some_deadline(state);
	weft_case cases[2] = { WEFT_RECV(s->other, NULL) };
	int r;

	if (small_rand(state, 2) == 0)
		return sends ? weft_chan_send(s->c, elem, deadline)
		    : weft_chan_recv(s->c, elem, deadline);
	cases[1] = sends ? WEFT_SEND(s->c, elem) : WEFT_RECV(s->c, elem);
	r = weft_select(cases, 2, deadline);
	EXPECT(r != 0);
	return r == 1 ? cases[1].res : r;
}

static int
send_until_it_ends(void *arg)
{
	struct storm *s = arg;
	unsigned state = (unsigned)weft_goid();

	for (;;) {
		int elem = atomic_fetch_add(&s->next, 1), r;

		if (elem >= MAX)
			return 0;
		do
			r = do_op(s, &elem, true, &state);
		while (r == -ETIMEDOUT);
		if (r != 0) {
			EXPECT(r == -EPIPE || r == -ECANCELED);
			return 0;
		}
		atomic_fetch_add(&s->sent[elem], 1);
	}
}

static int
receive_until_it_ends(void *arg)
{
	struct storm *s = arg;
	unsigned state = (unsigned)weft_goid();

	for (;;) {
		int elem = -1, r = do_op(s, &elem, false, &state);

		if (r == 1) {
			EXPECT(elem >= 0 && elem < MAX);
			atomic_fetch_add(&s->got[elem], 1);
		} else if (r == -ETIMEDOUT) {
			EXPECT_EQ(elem, -1);
		} else {
			EXPECT(r == 0 || (r == -ECANCELED && elem == -1));
			return 0;
		}
	}
}

static void
expect_conserved(struct storm *s)
{
	int elem, n = atomic_load(&s->next);

	while (weft_chan_recv(s->c, &elem, WEFT_NOW) == 1)
		atomic_fetch_add(&s->got[elem], 1);
	for (int i = 0; i < n && i < MAX; i++)
		if (s->sent[i] != s->got[i])
			FAIL("%d was sent %d times, received %d times", i, s->sent[i], s->got[i]);
}

/* One storm: some of each kind in a scope that is cancelled, the rest ended by the close. */
static void
one_storm(size_t cap, int pause)
{
	static struct storm s;
	weft_scope *cancelled = scope_make(NULL), *closed = scope_make(NULL);

	memset(&s, 0, sizeof(s));
	s.c = chan_int(cap);
	s.other = chan_int(0);
	for (int i = 0; i < SENDERS; i++)
		scope_go(i % 2 != 0 ? cancelled : closed, send_until_it_ends, &s);
	for (int i = 0; i < RECEIVERS; i++)
		scope_go(i % 2 != 0 ? cancelled : closed, receive_until_it_ends, &s);
	weft_sleep(pause * 100 * US);
	weft_scope_cancel(cancelled, -ECANCELED);
	weft_sleep(pause * 50 * US);
	weft_chan_close(s.c);
	EXPECT_EQ(weft_scope_wait(cancelled, WEFT_FOREVER), 0);
	EXPECT_EQ(weft_scope_wait(closed, WEFT_FOREVER), 0);
	expect_conserved(&s);
	weft_scope_free(cancelled);
	weft_scope_free(closed);
	/* The last reference: fatal if anybody is on a queue. */
	weft_chan_unref(s.c);
	weft_chan_unref(s.other);
}

static void
storms(void)
{
	for (int i = 0; i < scaled(40); i++)
		one_storm((size_t)(i % 3) * 2, i % 10);
}

/* A job done twice, or never, though its sender was told that it is in good hands. */
TEST(storms_lose_and_double_nothing)
{
	on_1_2_4_procs(storms);
}
