/*
 * The tracer's thread. See tracer.h.
 *
 *   T1  request.done: release by the tracer -> acquire by the caller: its result is there.
 *   T2  tracer.requests under tracer.lock; the note is set after.
 */
#include "debug/tracer.h"

#include "debug/out.h"
#include "debug/trace_gen.h"
#include "debug/trace_kept.h"
#include "os/os.h"
#include "sched/lock.h"
#include "sched/sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_NS ((int64_t)1000000000)	/* as Go */
#define STREAM_BYTES ((size_t)16 << 20)		/* a generation that has grown so large ends */
#define FLIGHT_NS ((int64_t)10000000000)
#define FLIGHT_BYTES ((size_t)16 << 20)
#define FLIGHT_PARTS 8u				/* a generation is a part of what is kept */
#define STACK_BYTES ((size_t)256 << 10)
#define PATH_BYTES 4096u
#define CRASH_NS ((int64_t)3000000000)		/* the process waits so long for us */
#define CRASH_THREADS_NS ((int64_t)500000000)	/* and we for threads that may be stopped */

struct request {
	const struct tracer_call *call;
	int result;
	_Atomic uint32_t done;		/* futex. T1 */
	struct request *next;
};

static struct {
	struct wf_lock lock;
	struct request *requests;	/* under lock; newest first */
	bool is_running;		/* under lock: there is the thread */
	bool has_exit_hook;		/* under lock */
	_Atomic uint32_t is_alive;	/* for the crash, which takes no lock */
	_Atomic int tid;
	_Atomic uint32_t crash;		/* asked for */
	_Atomic uint32_t crash_done;	/* futex */

	/* The thread's own. */
	struct trace_gen gen;
	int fd;				/* of the trace being written, or -1 */
	int error;			/* first of it */
	bool keeps;			/* the flight recorder is on */
	struct trace_kept kept;

	char flight_file[PATH_BYTES];	/* constant once the recorder is on; "" = none */
	_Atomic uint32_t wants_file;	/* by a signal. T2 */
} tracer = { .fd = -1 };

/* ---- output ---- */

/* What is kept, to the file that WEFT_FLIGHT names. */
static void
dump_to_file(void)
{
	int fd = wf_os_create(tracer.flight_file, 0600);

	if (fd < 0)
		return;
	(void)wf_trace_kept_write(&tracer.kept, fd);
	(void)wf_os_close(fd);
}

/* Ends the generation; what it holds goes where it is wanted. */
static bool
advance(bool last, int64_t give_up)
{
	struct trace_out bytes = { 0 };

	if (!wf_trace_gen_end(&tracer.gen, last, give_up, &bytes)) {
		if (tracer.error == 0)
			tracer.error = -ENOBUFS;
		return false;
	}
	if (tracer.fd >= 0 && tracer.error == 0)
		tracer.error = wf_out_all(tracer.fd, bytes.data, bytes.n);
	if (tracer.keeps)
		wf_trace_kept_add(&tracer.kept, &bytes);
	else
		wf_trace_gen_reuse(&tracer.gen, &bytes);
	return true;
}

/*
 * Events were lost, or could not be written: the trace ends with the last whole generation. The
 * flight recorder begins anew: no reader takes generations with one missing between them.
 */
static void
give_up(void)
{
	wf_trace_gen_drop(&tracer.gen);
	if (!tracer.keeps)
		return;
	wf_trace_kept_drop(&tracer.kept);
	wf_trace_gen_open(&tracer.gen);
}

/* ---- requests ---- */

static void
set_limit(void)
{
	size_t bytes = STREAM_BYTES;

	if (tracer.keeps)
		bytes = wf_min(bytes, tracer.kept.max_bytes / FLIGHT_PARTS);
	wf_store_relaxed(&wf_trace.bytes_max, bytes);
}

/* Somebody wants to listen: from the next generation on. */
static void
listen_on(void)
{
	set_limit();
	if (tracer.gen.gen != 0 && !advance(false, INT64_MAX))
		give_up();
	if (tracer.gen.gen == 0)
		wf_trace_gen_open(&tracer.gen);
}

/* One listener less. */
static void
listen_off(void)
{
	if (tracer.gen.gen != 0 && tracer.fd < 0 && !tracer.keeps)
		wf_trace_gen_drop(&tracer.gen);
	set_limit();
}

static int
start(const struct tracer_call *c)
{
	int copy;

	if (tracer.fd >= 0)
		return -EBUSY;
	copy = wf_os_dup(c->fd);
	if (copy < 0)
		return copy;
	listen_on();
	tracer.error = wf_out_all(copy, c->head, c->head_bytes);
	if (tracer.error == 0)
		tracer.error = wf_out_all(copy, TRACE_HEADER, TRACE_HEADER_BYTES);
	tracer.fd = copy;
	return 0;
}

static int
stop(void)
{
	if (tracer.fd < 0)
		return -ESRCH;
	if (tracer.gen.gen != 0 && !advance(!tracer.keeps, INT64_MAX))
		give_up();
	(void)wf_os_close(tracer.fd);
	tracer.fd = -1;
	listen_off();
	return tracer.error;
}

static int
flight_start(int64_t ns, size_t bytes)
{
	if (tracer.keeps)
		return -EBUSY;
	tracer.kept.max_ns = ns > 0 ? ns : FLIGHT_NS;
	tracer.kept.max_bytes = bytes != 0 ? bytes : FLIGHT_BYTES;
	listen_on();
	tracer.keeps = true;
	set_limit();
	return 0;
}

static int
flight_stop(void)
{
	if (!tracer.keeps)
		return -ESRCH;
	tracer.keeps = false;
	wf_trace_kept_drop(&tracer.kept);
	listen_off();
	return 0;
}

static int
flight_dump(int fd)
{
	int r;

	if (!tracer.keeps)
		return -ESRCH;
	if (!advance(false, INT64_MAX)) {
		r = tracer.kept.oldest == NULL ? -ENOBUFS
		    : wf_trace_kept_write(&tracer.kept, fd);
		give_up();
		return r;
	}
	return wf_trace_kept_write(&tracer.kept, fd);
}

static void
serve(struct request *r)
{
	const struct tracer_call *c = r->call;

	switch (c->want) {
	case TRACER_START:
		r->result = start(c);
		break;
	case TRACER_STOP:
		r->result = stop();
		break;
	case TRACER_FLIGHT_START:
		r->result = flight_start(c->ns, c->bytes);
		break;
	case TRACER_FLIGHT_STOP:
		r->result = flight_stop();
		break;
	case TRACER_FLIGHT_DUMP:
		r->result = flight_dump(c->fd);
		break;
	}
	/* T1. The word may be gone with the next instruction: nobody wakes by a stale address. */
	wf_store_release(&r->done, 1);
	(void)wf_os_futex_wake(&r->done, 1);
}

static void
serve_all(void)
{
	struct request *list, *oldest = NULL, *next;

	wf_lock(&tracer.lock);
	list = tracer.requests;
	tracer.requests = NULL;
	wf_unlock(&tracer.lock);
	for (; list != NULL; list = next) {
		next = list->next;
		list->next = oldest;
		oldest = list;
	}
	for (; oldest != NULL; oldest = next) {
		next = oldest->next;
		serve(oldest);
	}
}

/* ---- the thread ---- */

static void
serve_crash(void)
{
	if (!wf_load_acquire(&tracer.crash))
		return;
	if (tracer.gen.gen != 0)
		(void)advance(/* last */ true, CRASH_THREADS_NS);
	if (tracer.keeps && tracer.flight_file[0] != '\0')
		dump_to_file();
	wf_store_release(&tracer.crash_done, 1);
	(void)wf_os_futex_wake(&tracer.crash_done, INT32_MAX);
	wf_os_pause_forever();
}

static int64_t
period_ns(void)
{
	int64_t ns = wf_sched.debug.trace_period_ns;

	return ns != 0 ? ns : GENERATION_NS;
}

static void
await_work(void)
{
	int64_t until = tracer.gen.gen == 0 ? INT64_MAX : tracer.gen.began + period_ns();

	while (wf_load_acquire(&wf_trace.note) == 0)
		if (wf_os_futex_wait(&wf_trace.note, 0, until) == -ETIMEDOUT)
			break;
	(void)wf_xchg_acquire(&wf_trace.note, 0u);
}

static bool
is_due(void)
{
	return tracer.gen.gen != 0 && (wf_load_relaxed(&wf_trace.broken) ||
	    wf_trace_block_filled(tracer.gen.gen) > wf_load_relaxed(&wf_trace.bytes_max) ||
	    wf_os_now() - tracer.gen.began >= period_ns());
}

/* Ends when nobody listens any more. True: it is decided, nothing new can come to this thread. */
static bool
may_end(void)
{
	bool ends;

	if (tracer.gen.gen != 0)
		return false;
	wf_lock(&tracer.lock);
	ends = tracer.requests == NULL;
	if (ends) {
		wf_symtab_close(&tracer.gen.names.syms);	/* before another opens it */
		tracer.is_running = false;
		wf_store_relaxed(&tracer.is_alive, 0);
	}
	wf_unlock(&tracer.lock);
	return ends;
}

static void
tracer_main(void *arg)
{
	(void)arg;
	wf_service_begins();
	wf_store_relaxed(&tracer.tid, wf_os_tid());
	wf_os_thread_name("weft-tracer");
	do {
		await_work();
		serve_crash();
		if (is_due() && !advance(false, INT64_MAX))
			give_up();
		if (wf_xchg_acquire(&tracer.wants_file, 0u) != 0 && tracer.keeps) {	/* T2 */
			bool is_whole = advance(false, INT64_MAX);

			dump_to_file();
			if (!is_whole)
				give_up();
		}
		WF_POINT("tracer.serves");
		serve_all();
	} while (!may_end());
	wf_trace_block_trim();
	wf_service_ends();
}

/* Under tracer.lock. */
static int
start_thread_locked(void)
    WF_HOLDS(tracer.lock)
{
	int r;

	if (tracer.is_running)
		return 0;
	WF_POINT("tracer.begins");
	r = wf_os_thread_start(tracer_main, NULL, STACK_BYTES, /* block_signals */ true);
	if (r == 0) {
		tracer.is_running = true;
		wf_store_relaxed(&tracer.is_alive, 1);
	}
	return r;
}

static void
at_exit(void)
{
	if (wf_load_relaxed(&wf_sched.is_forked) || !wf_load_relaxed(&tracer.is_alive))
		return;
	(void)wf_tracer_call(&(struct tracer_call){ .want = TRACER_STOP });
}

/* Under tracer.lock. Nothing to stop or dump? What is the thread's own is ours without it. */
static bool
is_vain_locked(const struct tracer_call *call)
    WF_HOLDS(tracer.lock)
{
	return call->want != TRACER_START && call->want != TRACER_FLIGHT_START &&
	    !tracer.is_running && tracer.fd < 0 && !tracer.keeps;
}

int
wf_tracer_call(const struct tracer_call *call)
{
	struct request r = { .call = call };
	int error;

	wf_lock(&tracer.lock);
	if (!tracer.has_exit_hook)
		tracer.has_exit_hook = atexit(at_exit) == 0;
	error = is_vain_locked(call) ? -ESRCH : start_thread_locked();
	if (error == 0) {
		r.next = tracer.requests;
		tracer.requests = &r;
	}
	wf_unlock(&tracer.lock);
	if (error != 0)
		return error;
	wf_note_wake(&wf_trace.note);					/* T2 */
	while (wf_load_acquire(&r.done) == 0)				/* T1 */
		(void)wf_os_futex_wait(&r.done, 0, INT64_MAX);
	return r.result;
}

void
wf_tracer_flight_file(const char *path)
{
	size_t n = strnlen(path, PATH_BYTES - 1);

	memcpy(tracer.flight_file, path, n);
	tracer.flight_file[n] = '\0';
}

void
wf_tracer_flight_signal(void)
{
	wf_store_release(&tracer.wants_file, 1);			/* T2 */
	wf_note_wake(&wf_trace.note);
}

void
wf_tracer_crash(void)
{
	int64_t until = wf_os_now() + CRASH_NS;

	if (!wf_load_relaxed(&tracer.is_alive) || wf_load_relaxed(&tracer.tid) == wf_os_tid())
		return;
	wf_store_release(&tracer.crash, 1);
	wf_note_wake(&wf_trace.note);
	while (wf_load_acquire(&tracer.crash_done) == 0 && wf_os_now() < until)
		(void)wf_os_futex_wait(&tracer.crash_done, 0, until);
}
