/*
 * The steps of test/fuzz/ops.c: what three bytes of the input mean, and what the model makes of it.
 * Part of that file.
 */
#ifndef WEFT_TEST_FUZZ_OPS_STEPS_H
#define WEFT_TEST_FUZZ_OPS_STEPS_H

static bool
holds(int i)
{
	return model.worker[i].has_mutex || model.worker[i].reads || model.worker[i].writes;
}

/*
 * Would it be misuse, or could nobody end it? A lock's wait is not cancellable, so who holds one
 * waits for no other.
 */
static bool
is_allowed(int i, const struct op *op)
{
	switch (op->kind) {
	case OP_SEND:
		return op->chan != TIMER;
	case OP_CLOSE:
		return op->chan != TIMER && !model.chan[op->chan].is_closed;
	case OP_LOCK: case OP_TRYLOCK: case OP_RLOCK: case OP_TRYRLOCK: case OP_WLOCK:
	case OP_TRYWLOCK:
		return !holds(i);
	case OP_UNLOCK:
		return model.worker[i].has_mutex;
	case OP_RUNLOCK:
		return model.worker[i].reads;
	case OP_WUNLOCK:
		return model.worker[i].writes;
	case OP_RELEASE:
		return op->n <= PERMITS - model.available;
	case OP_ADD:
		return model.count < 3;
	case OP_DONE:
		return model.count > 0;
	default:
		return true;
	}
}

/* ---- What the model makes of it: the worker's call is over, or it waits ---- */

static void
step_lock(int i, const struct op *op)
{
	switch (op->kind) {
	case OP_LOCK:
		if (model.is_locked) {
			block_in(i, Q_MUTEX);
			return;
		}
		model.is_locked = model.worker[i].has_mutex = true;
		break;
	case OP_RLOCK:
		if (model.writers_mutex) {
			block_in(i, Q_READERS);
			return;
		}
		model.worker[i].reads = true;
		model.readers++;
		break;
	case OP_WLOCK:
		block_in(i, model.writers_mutex ? Q_WRITERS : Q_WRITER);
		model.writers_mutex = true;
		let_writer_in();
		return;
	case OP_UNLOCK:
		model.worker[i].has_mutex = false;
		do_unlock();
		break;
	case OP_RUNLOCK:
		model.worker[i].reads = false;
		model.readers--;
		let_writer_in();
		break;
	case OP_WUNLOCK:
	default:
		model.worker[i].writes = false;
		do_wunlock();
		break;
	}
	complete(i, 0, 0, 0);
}

static void
step_try(int i, const struct op *op)
{
	bool can;

	if (op->kind == OP_TRYLOCK) {
		can = !model.is_locked;
		model.is_locked |= can;
		model.worker[i].has_mutex = can;
	} else if (op->kind == OP_TRYRLOCK) {
		can = !model.writers_mutex;
		model.readers += can;
		model.worker[i].reads = can;
	} else {
		can = !model.writers_mutex && model.readers == 0;
		model.writers_mutex |= can;
		model.is_writing |= can;
		model.worker[i].writes = can;
	}
	complete(i, can, 0, 0);
}

static void
step_sem(int i, const struct op *op)
{
	bool can = model.len[Q_SEM] == 0 && op->n <= model.available;

	if (op->kind == OP_RELEASE) {
		model.available += op->n;
		complete(i, 0, 0, 0);
		grant();
	} else if (can || op->kind == OP_TRYACQUIRE) {
		model.available -= can ? op->n : 0;
		complete(i, op->kind == OP_TRYACQUIRE ? can : 0, 0, 0);
	} else {
		block_in(i, op->n > PERMITS ? Q_NONE : Q_SEM);
	}
}

static void
step_chan(int i, const struct op *op)
{
	int64_t v = 0;
	int r;

	if ((op->kind == OP_SEND && !can_send(op->chan)) ||
	    (op->kind == OP_RECV && !can_recv(op->chan))) {
		block_in(i, (op->kind == OP_SEND ? Q_SEND : Q_RECV) + (enum queue)op->chan);
		return;
	}
	if (op->kind == OP_SEND)
		r = do_send(op->chan, op->n);
	else if (op->kind == OP_RECV)
		r = do_recv(op->chan, &v);
	else if (op->kind == OP_LEN)
		r = op->chan == TIMER ? 0 : (int)model.chan[op->chan].n;
	else
		do_close(op->chan), r = 0;
	complete(i, r, 0, v);
}

/* Which of several that are ready is weft's to choose: it has chosen. */
static void
step_select(int i, const struct op *op)
{
	bool is_any = false;

	for (int k = 0; k < op->n_cases; k++)
		is_any |= case_is_ready(op, k);
	if (!is_any) {
		if (blocks(i))
			queue_cases(i, op);
		return;
	}
	for (int turns = 0; workers[i].is_busy; turns++) {
		if (turns == PATIENCE)
			differ(i, "waits, and should not");
		weft_yield();
	}
	if (workers[i].got.r < 0 || !case_is_ready(op, workers[i].got.r))
		differ(i, "a case that was not ready");
	do_case(i, op, workers[i].got.r);
}

static void
step_rest(int i, const struct op *op)
{
	bool was = op->kind == OP_TIMER || op->kind == OP_TIMER_STOP
	    ? model.due != WEFT_FOREVER || model.chan[TIMER].n > 0 : model.is_set;

	switch (op->kind) {
	case OP_WAIT:
	case OP_WAIT_ALL:
		if (op->kind == OP_WAIT ? !model.is_set : model.count > 0)
			block_in(i, op->kind == OP_WAIT ? Q_EVENT : Q_GROUP);
		else
			complete(i, 0, 0, 0);
		return;
	case OP_SLEEP:
		block_in(i, Q_NONE);
		return;
	case OP_SET:
		model.is_set = true;
		complete_all(Q_EVENT);
		complete(i, !was, 0, 0);
		return;
	case OP_RESET:
		model.is_set = false;
		complete(i, was, 0, 0);
		return;
	case OP_TIMER:
	case OP_TIMER_STOP:
		model.chan[TIMER].n = 0;
		model.due = op->kind == OP_TIMER ? op->deadline : WEFT_FOREVER;
		complete(i, was, 0, 0);
		return;
	default:
		model.count += op->kind == OP_ADD ? 1 : -1;
		if (model.count == 0)
			complete_all(Q_GROUP);
		complete(i, 0, 0, 0);
		return;
	}
}

/* Worker i does op, in weft and in the model. */
static void
step(int i, const struct op *op)
{
	workers[i].op = model.worker[i].op = *op;
	workers[i].is_busy = true;
	switch (op->kind) {
	case OP_SEND: case OP_RECV: case OP_CLOSE: case OP_LEN:
		step_chan(i, op);
		break;
	case OP_SELECT:
		step_select(i, op);
		break;
	case OP_TRYLOCK: case OP_TRYRLOCK: case OP_TRYWLOCK:
		step_try(i, op);
		break;
	case OP_LOCK: case OP_UNLOCK: case OP_RLOCK: case OP_RUNLOCK: case OP_WLOCK:
	case OP_WUNLOCK:
		step_lock(i, op);
		break;
	case OP_ACQUIRE: case OP_TRYACQUIRE: case OP_RELEASE:
		step_sem(i, op);
		break;
	default:
		step_rest(i, op);
		break;
	}
	compare_all(0);
}

/* ---- What the input means ---- */

/* A moment that no other wait has: what comes first would be anybody's guess. */
static int64_t
unique(int64_t t)
{
	bool is_taken = t == model.due;

	for (int i = 0; i < WORKERS; i++)
		is_taken |= model.worker[i].is_blocked && model.worker[i].op.deadline == t;
	return is_taken ? unique(t + 1) : t;
}

static int64_t
deadline_of(uint8_t arg)
{
	return arg < 64 ? WEFT_NOW : arg < 160 ? unique(model.now + 1 + (arg - 64) * 10)
	                                       : WEFT_FOREVER;
}

/* Each channel once at most, this way or that. */
static void
decode_cases(struct op *op, uint8_t which, uint8_t ways)
{
	for (int c = 0; c <= CHANS; c++) {
		if (!(which >> c & 1))
			continue;
		op->cases[op->n_cases].chan = c;
		op->cases[op->n_cases++].op = c == TIMER && (ways & 8) ? WEFT_OP_WAIT
		    : c != TIMER && (ways >> c & 1)                    ? WEFT_OP_SEND
		                                                       : WEFT_OP_RECV;
	}
}

static void
decode(const uint8_t b[3])
{
	int i = b[1] % WORKERS;
	struct op op = {.kind = b[0] % OP_KINDS, .chan = b[1] >> 2 & 3, .n = b[1] >> 4 & 3,
	    .deadline = deadline_of(b[2])};

	if (op.kind == OP_ADVANCE) {
		advance(model.now + b[2] * 8);
		return;
	}
	if (op.kind == OP_CANCEL) {
		if (b[2] < 32)	/* seldom: it is for good */
			cancel(i);
		return;
	}
	if (op.kind == OP_SEND || op.kind == OP_SELECT)
		op.n = ++n_values;
	if (op.kind == OP_SELECT)
		decode_cases(&op, b[1] >> 2 & 15, b[0] / OP_KINDS);
	if (op.kind == OP_SLEEP || op.kind == OP_TIMER)
		op.deadline = unique(model.now + 1 + b[2] * 10);
	if (op.kind == OP_SLEEP)
		op.n = op.deadline - model.now;
	if (op.kind == OP_RLOCK || op.kind == OP_WLOCK)
		op.deadline = WEFT_FOREVER;
	if (op.kind == OP_ACQUIRE || op.kind == OP_TRYACQUIRE || op.kind == OP_RELEASE)
		op.n++;		/* 1 to 4, of 3 */
	if (!model.worker[i].is_blocked && is_allowed(i, &op))
		step(i, &op);
}

#endif /* WEFT_TEST_FUZZ_OPS_STEPS_H */
