/*
 * weft_copy: from one descriptor to another, by the shortest way that their kinds allow.
 *
 *   from        to            by
 *   file        file          copy_file_range(2), which shares blocks where it can
 *   file        O_NONBLOCK    sendfile(2)
 *   O_NONBLOCK  O_NONBLOCK    a buffer; splice(2) through a pipe of ours once two reads in a row
 *               or file       have filled it: for what comes in small pieces two more system
 *                             calls cost more than the copy
 *   anything    anything      a buffer
 *
 * A way that the kernel refuses before anything went by it is given up for the buffer, whose
 * errors are the true ones. Each step waits for one side only: first `from`, then `to`.
 */
#include "io/io.h"

#include "io/slot.h"
#include "os/os.h"
#include "sched/park.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE_BYTES ((size_t)16 << 20)	/* between two looks at deadline and scope */
#define PIPE_BYTES (1 << 20)		/* as Go; an unprivileged user's limit */
#define FULL_READS 2

enum way {
	WAY_BUFFER,
	WAY_RANGE,
	WAY_SENDFILE,
	WAY_SPLICE,
};

struct copy {
	int to, from;
	size_t left;
	size_t done;		/* bytes that arrived */
	int64_t deadline;
	enum way way;
	bool by_way;		/* something went by this way: it is not refused any more */
	bool may_splice;
	bool to_file;
	int full_reads;		/* in a row that filled the buffer */
	char *buf;		/* or NULL */
	int pipe[2];		/* or -1 */
	size_t pipe_bytes;	/* what it holds at most */
};

static void
arrived(struct copy *c, size_t n)
{
	c->done += n;
	c->left -= n;
}

/* All of buf, or an error; what went is counted. */
WF_PARKS static ssize_t
write_out(struct copy *c, size_t n)
{
	struct iovec v = {.iov_base = c->buf, .iov_len = n};
	struct io_write w;
	ssize_t r;

	wf_io_write_init(&w, &v, 1);
	r = wf_io_run(c->to, PD_WRITE, &w.op, c->deadline);
	arrived(c, w.at.done);
	return r < 0 ? r : (ssize_t)n;
}

WF_PARKS static ssize_t
copy_buffer(struct copy *c)
{
	size_t n = wf_min(c->left, IO_COPY_BYTES);
	ssize_t r;

	if (c->buf == NULL && (c->buf = malloc(IO_COPY_BYTES)) == NULL)
		return -ENOMEM;
	r = wf_io_read(c->from, c->buf, n, c->deadline);
	if (r <= 0)
		return r;
	c->full_reads = (size_t)r == IO_COPY_BYTES ? c->full_reads + 1 : 0;
	if (c->may_splice && c->full_reads == FULL_READS) {
		c->way = WAY_SPLICE;
		c->by_way = false;
	}
	return write_out(c, (size_t)r);
}

/* A call on `to` that also uses another descriptor, which must not be closed meanwhile. */
struct io_move {
	struct io_op op;
	struct copy *c;
	size_t n;
};

static ssize_t
try_range(struct io_op *op, struct pd *pd)
{
	const struct io_move *m = wf_container_of(op, struct io_move, op);
	struct pd *from;
	ssize_t r = wf_pd_get(m->c->from, &from);

	if (r < 0)
		return r;
	r = wf_pd_enter(from, PD_OTHER, WEFT_FOREVER);
	if (r < 0)
		return r;
	r = wf_slot_acquire(op->deadline);
	if (r == 0) {
		wf_blocking_begin();
		r = wf_os_copy_file_range(m->c->from, pd_number(pd), m->n);
		wf_blocking_end();
		wf_slot_release();
	}
	wf_pd_leave(from, PD_OTHER);
	return r;
}

WF_PARKS static ssize_t
copy_range(struct copy *c)
{
	struct io_move m = {
	    .op.try_fn = try_range, .c = c, .n = wf_min(c->left, PIECE_BYTES)};
	ssize_t r = wf_io_run(c->to, PD_WRITE, &m.op, c->deadline);

	if (r > 0)
		arrived(c, (size_t)r);
	return r;
}

WF_PARKS static ssize_t
copy_sendfile(struct copy *c)
{
	size_t done = 0;
	ssize_t r = wf_io_sendfile(
	    c->to, c->from, NULL, wf_min(c->left, PIECE_BYTES), &done, c->deadline);

	arrived(c, done);
	c->by_way = c->by_way || done > 0;
	return r < 0 ? r : (ssize_t)done;
}

static ssize_t
try_fill(struct io_op *op, struct pd *pd)
{
	const struct io_move *m = wf_container_of(op, struct io_move, op);

	return wf_os_splice(pd_number(pd), m->c->pipe[1], m->n);
}

/* Our pipe is never empty here, so -EAGAIN is of `to`. */
static ssize_t
try_drain(struct io_op *op, struct pd *pd)
{
	struct io_move *m = wf_container_of(op, struct io_move, op);
	ssize_t r = 0;

	while (m->n > 0) {
		if (m->c->to_file)
			wf_blocking_begin();
		r = wf_os_splice_quiet(m->c->pipe[0], pd_number(pd), m->n);
		if (m->c->to_file)
			wf_blocking_end();
		if (r <= 0)
			break;
		m->n -= (size_t)r;
	}
	return r < 0 ? r : 0;
}

static bool
is_refusal(ssize_t r)
{
	switch (r) {
	case -EINVAL:
	case -EXDEV:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EPERM:
	case -EBADF:
	case -ESPIPE:
	case -ETXTBSY:
		return true;
	default:
		return false;
	}
}

/* `to` takes nothing from a pipe (it is opened with O_APPEND, say): n bytes by the buffer. */
WF_PARKS static ssize_t
drain_by_buffer(struct copy *c, size_t n)
{
	ssize_t r = 0;

	c->way = WAY_BUFFER;
	c->may_splice = false;
	while (n > 0 && r >= 0) {
		r = wf_os_read(c->pipe[0], c->buf, wf_min(n, IO_COPY_BYTES));
		if (r <= 0)
			return r == 0 ? -EIO : r;
		n -= (size_t)r;
		r = write_out(c, (size_t)r);
	}
	return r;
}

WF_PARKS static ssize_t
copy_splice(struct copy *c)
{
	struct io_move m = {
	    .op.try_fn = try_fill, .c = c, .n = wf_min(c->left, c->pipe_bytes)};
	ssize_t got = wf_io_run(c->from, PD_READ, &m.op, c->deadline), r;

	if (got <= 0)
		return got;
	m.op.try_fn = try_drain;
	m.n = (size_t)got;
	r = wf_io_run(c->to, PD_WRITE, &m.op, c->deadline);
	arrived(c, (size_t)got - m.n);
	c->by_way = c->by_way || m.n < (size_t)got;
	if (!c->by_way && is_refusal(r))
		r = drain_by_buffer(c, m.n);
	return r < 0 ? r : got;
}

/* Without a pipe there is still the buffer. */
static bool
has_pipe(struct copy *c)
{
	int r;

	if (c->pipe[0] >= 0)
		return true;
	if (wf_os_pipe(c->pipe) < 0) {
		c->pipe[0] = c->pipe[1] = -1;
		return false;
	}
	r = wf_os_pipe_size(c->pipe[1], PIPE_BYTES);
	c->pipe_bytes = r > 0 ? (size_t)r : IO_COPY_BYTES;
	return true;
}

/* One piece: how much, 0 at the end, or an error. */
WF_PARKS static ssize_t
copy_piece(struct copy *c)
{
	ssize_t r;

	switch (c->way) {
	case WAY_RANGE:
		r = copy_range(c);
		break;
	case WAY_SENDFILE:
		r = copy_sendfile(c);
		break;
	case WAY_SPLICE:
		r = has_pipe(c) ? copy_splice(c) : -EINVAL;
		break;
	default:
		return copy_buffer(c);
	}
	if (r > 0)
		c->by_way = true;
	/* "At the end" is also what files of /proc say, of which nobody knows how long they are. */
	if (c->by_way || (r != 0 && !is_refusal(r)))
		return r;
	c->way = WAY_BUFFER;
	c->may_splice = false;
	return copy_buffer(c);
}

/* 0, or -EBADF. */
static int
choose_way(struct copy *c)
{
	int from = wf_os_file_type(c->from), to = wf_os_file_type(c->to);
	int from_nonblock, to_nonblock;

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	c->to_file = to == WF_OS_FILE_DISK;
	if (from == WF_OS_FILE_DISK && c->to_file) {
		c->way = WAY_RANGE;
		return 0;
	}
	from_nonblock = wf_os_is_nonblock(c->from);
	to_nonblock = wf_os_is_nonblock(c->to);
	if (from == WF_OS_FILE_DISK)
		c->way = to_nonblock > 0 ? WAY_SENDFILE : WAY_BUFFER;
	else
		c->may_splice = from_nonblock > 0 && (c->to_file || to_nonblock > 0);
	return 0;
}

/* The loop. The deadline ends it between two pieces too, else /dev/zero would never end. */
WF_PARKS static int
copy_all(struct copy *c)
{
	bool is_past = c->deadline != WEFT_FOREVER && c->deadline <= wf_os_now();
	int r = choose_way(c);

	while (r == 0 && c->left > 0) {
		ssize_t n = copy_piece(c);

		if (n <= 0)
			return (int)n;
		/* A past deadline never waits. What comes in less than a buffer ends by itself. */
		if (c->left > 0 && (!is_past || (size_t)n >= IO_COPY_BYTES))
			r = wf_park_check(c->deadline, true);
	}
	return r;
}

WF_API_PARKS ssize_t
weft_copy(int to, int from, size_t n, size_t *copied, int64_t deadline)
{
	struct copy c = {
	    .to = to, .from = from, .left = n, .deadline = deadline, .pipe = {-1, -1}};
	int r;

	(void)wf_enter();
	r = copy_all(&c);
	if (c.pipe[0] >= 0) {
		(void)wf_os_close(c.pipe[0]);
		(void)wf_os_close(c.pipe[1]);
	}
	wf_leave();
	free(c.buf);
	if (copied != NULL)
		*copied = c.done;
	return r < 0 ? r : (ssize_t)c.done;
}
