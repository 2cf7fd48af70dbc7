/*
 * What test/fuzz/ops.c compares weft with: channels, select, locks, the semaphore, an event, a
 * wait group, a timer and scopes as their headers describe them, one operation after the other, as
 * plain lists. Knows nothing of weft but its constants.
 */
#ifndef WEFT_TEST_FUZZ_OPS_MODEL_H
#define WEFT_TEST_FUZZ_OPS_MODEL_H

#include <weft.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The clock is so far ahead of the system's that who sleeps by it sleeps until woken. */
#define EPOCH (INT64_C(1) << 60)

enum { WORKERS = 4, CHANS = 3, TIMER = CHANS, CASES_MAX = 4, ROOM = 4, PERMITS = 3 };

enum op_kind {
	OP_SEND, OP_RECV, OP_CLOSE, OP_SELECT,
	OP_LOCK, OP_TRYLOCK, OP_UNLOCK,
	OP_RLOCK, OP_TRYRLOCK, OP_RUNLOCK, OP_WLOCK, OP_TRYWLOCK, OP_WUNLOCK,
	OP_ACQUIRE, OP_TRYACQUIRE, OP_RELEASE,
	OP_WAIT, OP_SET, OP_RESET, OP_ADD, OP_DONE, OP_WAIT_ALL,
	OP_SLEEP, OP_TIMER, OP_TIMER_STOP, OP_LEN,
	OP_OF_DRIVER, OP_ADVANCE = OP_OF_DRIVER, OP_CANCEL, OP_KINDS,
	OP_EXIT,
};

/* Lists of those that wait, oldest first. */
enum queue {
	Q_RECV, Q_SEND = Q_RECV + CHANS + 1, Q_MUTEX = Q_SEND + CHANS + 1, Q_READERS, Q_WRITERS,
	Q_WRITER, Q_SEM, Q_EVENT, Q_GROUP, Q_NONE, QUEUES,
};

/* What a call says. */
struct outcome {
	int r;
	int res;		/* of the case of a select that went */
	int64_t value;		/* received */
};

struct op {
	enum op_kind kind;
	int chan;
	int64_t n;		/* permits; or the element to be sent */
	int64_t deadline;
	struct {
		int op, chan;
	} cases[CASES_MAX];
	int n_cases;
};

/* Who waits, and as which case of its select. */
struct place {
	int worker, index;
};

static struct model {
	int64_t now;
	struct place queue[QUEUES][WORKERS * CASES_MAX];
	int len[QUEUES];
	struct {
		int64_t cap, n, elem[ROOM];
		bool is_closed;
	} chan[CHANS + 1];
	bool is_locked, is_writing, is_set;
	int readers;		/* that hold the read lock */
	bool writers_mutex;	/* a writer is in, or is the next */
	int64_t available, count, due;	/* of the timer: WEFT_FOREVER when it is not pending */
	struct {
		struct op op;
		bool is_blocked, is_cancelled, has_mutex, reads, writes;
		struct outcome expected;
	} worker[WORKERS];
} model = {.now = EPOCH};

/* ---- Lists ---- */

static void
put(enum queue q, int worker, int index)
{
	model.queue[q][model.len[q]++] = (struct place){worker, index};
}

static void
remove_everywhere(int worker)
{
	for (int q = 0; q < QUEUES; q++) {
		int n = 0;

		for (int i = 0; i < model.len[q]; i++)
			if (model.queue[q][i].worker != worker)
				model.queue[q][n++] = model.queue[q][i];
		model.len[q] = n;
	}
}

/* The call of that worker is over. */
static void
complete(int worker, int r, int res, int64_t value)
{
	remove_everywhere(worker);
	model.worker[worker].is_blocked = false;
	model.worker[worker].expected = (struct outcome){r, res, value};
}

/* The oldest of a channel's queue goes on: in a select its case is told, else the result. */
static void
complete_first(enum queue q, int res, int64_t value)
{
	struct place p = model.queue[q][0];

	if (model.worker[p.worker].op.kind == OP_SELECT)
		complete(p.worker, p.index, res, value);
	else
		complete(p.worker, res, 0, value);
}

/* What the oldest sender has in its hands. */
static int64_t
offered(enum queue q)
{
	return model.worker[model.queue[q][0].worker].op.n;
}

/* ---- Channels ---- */

static bool
can_send(int c)
{
	return model.chan[c].is_closed || model.len[Q_RECV + c] > 0 ||
	    model.chan[c].n < model.chan[c].cap;
}

static bool
can_recv(int c)
{
	return model.chan[c].is_closed || model.len[Q_SEND + c] > 0 || model.chan[c].n > 0;
}

static int
do_send(int c, int64_t v)
{
	if (model.chan[c].is_closed)
		return -EPIPE;
	if (model.len[Q_RECV + c] > 0)
		complete_first(Q_RECV + c, 1, v);
	else
		model.chan[c].elem[model.chan[c].n++] = v;
	return 0;
}

static int
do_recv(int c, int64_t *ret)
{
	*ret = 0;
	if (model.chan[c].n > 0) {
		*ret = model.chan[c].elem[0];
		memmove(model.chan[c].elem, model.chan[c].elem + 1,
		    (size_t)--model.chan[c].n * sizeof(*ret));
		if (model.len[Q_SEND + c] > 0) {
			model.chan[c].elem[model.chan[c].n++] = offered(Q_SEND + c);
			complete_first(Q_SEND + c, 0, 0);
		}
		return 1;
	}
	if (model.len[Q_SEND + c] > 0) {
		*ret = offered(Q_SEND + c);
		complete_first(Q_SEND + c, 0, 0);
		return 1;
	}
	return 0;	/* closed */
}

static void
do_close(int c)
{
	model.chan[c].is_closed = true;
	while (model.len[Q_RECV + c] > 0)
		complete_first(Q_RECV + c, 0, 0);
	while (model.len[Q_SEND + c] > 0)
		complete_first(Q_SEND + c, -EPIPE, 0);
}

/* ---- Select ---- */

static bool
case_is_ready(const struct op *op, int i)
{
	int c = op->cases[i].chan;

	return op->cases[i].op == WEFT_OP_WAIT ? model.is_set
	    : op->cases[i].op == WEFT_OP_SEND  ? can_send(c) : can_recv(c);
}

static void
do_case(int worker, const struct op *op, int i)
{
	int c = op->cases[i].chan, res = 0;
	int64_t v = 0;

	if (op->cases[i].op == WEFT_OP_SEND)
		res = do_send(c, op->n);
	else if (op->cases[i].op == WEFT_OP_RECV)
		res = do_recv(c, &v);
	complete(worker, i, res, v);
}

static void
queue_cases(int worker, const struct op *op)
{
	for (int i = 0; i < op->n_cases; i++) {
		int c = op->cases[i].chan;

		put(op->cases[i].op == WEFT_OP_WAIT ? Q_EVENT
		    : op->cases[i].op == WEFT_OP_SEND ? Q_SEND + (enum queue)c
		                                      : Q_RECV + (enum queue)c, worker, i);
	}
}

/* ---- Locks ---- */

static void
do_unlock(void)
{
	model.is_locked = false;
	if (model.len[Q_MUTEX] > 0) {
		int w = model.queue[Q_MUTEX][0].worker;

		model.is_locked = model.worker[w].has_mutex = true;
		complete(w, 0, 0, 0);
	}
}

/* The writer who is the next goes in if no reader is. */
static void
let_writer_in(void)
{
	if (model.len[Q_WRITER] > 0 && model.readers == 0) {
		int w = model.queue[Q_WRITER][0].worker;

		model.is_writing = model.worker[w].writes = true;
		complete(w, 0, 0, 0);
	}
}

/* All readers that wait go in, and the next writer after them. */
static void
do_wunlock(void)
{
	model.is_writing = model.writers_mutex = false;
	while (model.len[Q_READERS] > 0) {
		int w = model.queue[Q_READERS][0].worker;

		model.worker[w].reads = true;
		model.readers++;
		complete(w, 0, 0, 0);
	}
	if (model.len[Q_WRITERS] > 0) {
		int w = model.queue[Q_WRITERS][0].worker;

		remove_everywhere(w);
		model.writers_mutex = true;
		put(Q_WRITER, w, 0);
		let_writer_in();
	}
}

static void
grant(void)
{
	while (model.len[Q_SEM] > 0) {
		int w = model.queue[Q_SEM][0].worker;

		if (model.worker[w].op.n > model.available)
			return;
		model.available -= model.worker[w].op.n;
		complete(w, 0, 0, 0);
	}
}

static void
complete_all(enum queue q)
{
	while (model.len[q] > 0)
		complete_first(q, 0, 0);
}

/* ---- Time and cancellation ---- */

static bool
is_cancellable(enum op_kind kind)
{
	return kind != OP_LOCK && kind != OP_RLOCK && kind != OP_WLOCK;
}

/* A wait is over without what it was for. */
static void
give_up(int worker, int r)
{
	complete(worker, r, 0, 0);
	grant();	/* it may have been all that held the next ones up */
}

/* What the worker must do instead of waiting, or 0. */
static int
may_wait(int worker)
{
	const struct op *op = &model.worker[worker].op;

	if (model.worker[worker].is_cancelled && is_cancellable(op->kind))
		return -ECANCELED;
	return op->deadline <= model.now ? -ETIMEDOUT : 0;
}

static void
fire(void)
{
	if (model.len[Q_RECV + TIMER] > 0)
		complete_first(Q_RECV + TIMER, 1, model.due);
	else if (model.chan[TIMER].n == 0)
		model.chan[TIMER].elem[model.chan[TIMER].n++] = model.due;
	model.due = WEFT_FOREVER;
}

/* The next moment at which something happens by itself. */
static int64_t
next_moment(void)
{
	int64_t next = model.due;

	for (int w = 0; w < WORKERS; w++)
		if (model.worker[w].is_blocked && model.worker[w].op.deadline < next)
			next = model.worker[w].op.deadline;
	return next;
}

static void
happen(void)
{
	if (model.due <= model.now)
		fire();
	for (int w = 0; w < WORKERS; w++)
		if (model.worker[w].is_blocked && model.worker[w].op.deadline <= model.now)
			give_up(w, model.worker[w].op.kind == OP_SLEEP ? 0 : -ETIMEDOUT);
}

#endif /* WEFT_TEST_FUZZ_OPS_MODEL_H */
