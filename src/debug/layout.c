/*
 * Where debuggers find goroutines: offsets of fields, and where to begin. A table of names, so that
 * gdb and the weft command read live processes and core files without debug information, and a
 * reader of one version understands the library of another as far as names agree.
 *
 * Readers know: include/weft/debug.h for the form, tools/gdb/weft-gdb.py for the meaning.
 */
#include <weft/debug.h>

#include "chan/chan.h"
#include "sched/gslab.h"
#include "sched/sched.h"
#include "sched/tags.h"
#include "sync/mutex.h"

#define FIELD(name, type, member) \
	{name, offsetof(type, member), sizeof(((type *)0)->member)}
#define SIZE(name, type) {name, sizeof(type), 0}
#define VALUE(name, value) {name, (value), 0}

const weft_debug_layout_table weft_debug_layout = {
    .magic = "weftdbg",
    .version = 1,
    .size = sizeof(weft_debug_layout_table),
    .n_reasons = WAIT_REASON_MAX,
    .sched = &wf_sched,
    .chunks = &wf_chunks,
    .reasons = wf_wait_reason_names,
    .entry = (const void *)wf_ctx_entry,
    .fields = {
	SIZE("g", struct g),
	FIELD("g.sp", struct g, ctx.sp),
	FIELD("g.fp", struct g, ctx.fp),
	FIELD("g.pc", struct g, ctx.pc),
	FIELD("g.m", struct g, m),
	FIELD("g.wait", struct g, wait),
	FIELD("g.status", struct g, status),
	FIELD("g.reason", struct g, wait_reason),
	FIELD("g.id", struct g, id),
	FIELD("g.parent", struct g, parent_id),
	FIELD("g.flags", struct g, flags),
	FIELD("g.fn", struct g, fn),
	FIELD("g.arg", struct g, arg),
	FIELD("g.created", struct g, created_pc),
	FIELD("g.since", struct g, since),
	FIELD("g.lo", struct g, stack_lo),
	FIELD("g.hi", struct g, stack_hi),
	FIELD("g.name", struct g, tags),
	FIELD("g.locked", struct g, locked),

	FIELD("tags.name", struct wf_tags, name),
	FIELD("tags.labels", struct wf_tags, labels),
	FIELD("tags.n", struct wf_tags, n),
	FIELD("tags.bytes", struct wf_tags, bytes),
	VALUE("tags.text", offsetof(struct wf_tags, text)),

	FIELD("m.g", struct m, gate.g),
	FIELD("m.in_syscall", struct m, gate.in_syscall),
	FIELD("m.p", struct m, p),
	FIELD("m.id", struct m, id),
	FIELD("m.tid", struct m, tid),
	FIELD("m.next", struct m, all_next),
	FIELD("m.spinning", struct m, is_spinning),
	FIELD("m.idle", struct m, is_idle),
	FIELD("m.detached", struct m, is_detached),
	FIELD("m.detached_at", struct m, detached_at),
	FIELD("m.bound", struct m, bound_g),

	FIELD("p.id", struct p, id),
	FIELD("p.status", struct p, status),
	FIELD("p.m", struct p, m),
	FIELD("p.ticks", struct p, schedtick),
	FIELD("p.picks", struct p, picks),
	FIELD("p.steals", struct p, n_steals),
	FIELD("p.head", struct p, runq.head),
	FIELD("p.tail", struct p, runq.tail),
	FIELD("p.slot", struct p, runq.slot),
	FIELD("p.next", struct p, runq.runnext),
	FIELD("p.timers", struct p, timers.n),

	FIELD("sched.procs", struct sched, gomaxprocs),
	FIELD("sched.n_p", struct sched, n_p),
	FIELD("sched.p", struct sched, all_p),
	FIELD("sched.m", struct sched, all_m),
	FIELD("sched.idle_p", struct sched, n_idle_p),
	FIELD("sched.spinning", struct sched, n_spinning),
	FIELD("sched.queued", struct sched, runq.n),
	FIELD("sched.now", struct sched, now_coarse),
	FIELD("sched.start", struct sched, start),
	FIELD("sched.detached", struct sched, n_detached),
	FIELD("sched.no_labels", struct sched, debug.no_traceback_labels),

	FIELD("chunk.g", struct wf_chunk, gs),
	FIELD("chunk.next", struct wf_chunk, all_next),
	VALUE("chunk.n", WF_CHUNK_GS),

	FIELD("chan.refs", struct weft_chan, refs),
	FIELD("chan.closed", struct weft_chan, closed),
	FIELD("chan.len", struct weft_chan, count),
	FIELD("chan.cap", struct weft_chan, cap),
	FIELD("chan.elem", struct weft_chan, elem_size),
	FIELD("chan.first", struct weft_chan, take_at),
	FIELD("chan.ring", struct weft_chan, ring[0]),
	FIELD("chan.recvq", struct weft_chan, recvq.head),
	FIELD("chan.sendq", struct weft_chan, sendq.head),

	FIELD("waiter.next", struct waiter, next),
	FIELD("waiter.prev", struct waiter, prev),
	FIELD("waiter.g", struct waiter, g),
	FIELD("waiter.ticket", struct waiter, ticket),
	FIELD("waiter.n", struct waiter, n),

	FIELD("mutex.state", struct mutex, state),
	FIELD("mutex.first", struct mutex, waiters.head),
	VALUE("mutex.LOCKED", MUTEX_LOCKED),
	VALUE("mutex.STARVING", MUTEX_STARVING),

	VALUE("status.DEAD", G_DEAD),
	VALUE("status.RUNNABLE", G_RUNNABLE),
	VALUE("status.RUNNING", G_RUNNING),
	VALUE("status.SYSCALL", G_SYSCALL),
	VALUE("status.WAITING", G_WAITING),
	VALUE("flag.WRAPPED", GF_WRAPPED),
	VALUE("p_status.IDLE", P_IDLE),
	VALUE("p_status.RUNNING", P_RUNNING),
	VALUE("runq.n", RUNQ_CAP),
	VALUE("", 0),
    },
};
