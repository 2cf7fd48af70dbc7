/*
 * Who am I, and the gate between user code and the runtime.
 *
 * Every public function that touches the scheduler's state runs between wf_enter()
 * and wf_leave(). Inside, the monitor leaves the thread alone; outside, it may take
 * the thread's P away at any instruction (README.md, "Detach", steps D1-D6).
 */
#ifndef WEFT_SCHED_SELF_H
#define WEFT_SCHED_SELF_H

#include "arch/arch.h"
#include "sched/g.h"

/* Values of m_gate.hold. */
enum m_hold {
	HOLD_NONE,		/* nobody disputes the M's P (it may have none) */
	HOLD_DETACHING,		/* the monitor is deciding: wait for its verdict */
	HOLD_DETACHED,		/* the P is gone: get another before going on */
	HOLD_FORKED,		/* this is a child of fork(2): no weft here */
	HOLD_FENCED = 0x80,	/* a flag: no membarrier here, so every entry takes the slow path */
};

/* The first member of struct m: what the fast path needs to see of it. */
struct m_gate {
	_Atomic uint8_t in_runtime;	/* written by its thread only; read by the monitor */
	_Atomic uint8_t hold;		/* enum m_hold; CAS by the monitor, store by the thread,
					 * which gives its P away by CAS (D7) */
	_Atomic uint8_t in_syscall;	/* marked as blocking by weft_syscall_enter */
	_Atomic uint8_t syscall_tick;	/* + 1 per weft_syscall_enter */
	/*
	 * 1 + the id of the P that the M holds, 0: none. Written with m.p; constant for those
	 * inside the runtime who do not park.
	 */
	_Atomic uint32_t p_number;
	_Atomic uint32_t n_locks;	/* of mutexes, by the M; sync/keep.h counts */
	struct g *g;			/* the goroutine that runs here */
	/* Who waited here last, for those that go on here. Its thread's own. */
	const void *left_at;		/* where its public call returns to */
	enum wf_wait_reason left_for;
	/* The wait group that the M began last, and how often in a row; sync/waitgroup_kept.h */
	_Atomic uintptr_t group;
	_Atomic uint32_t n_begun;
};

/* Out of line: adopts a foreign thread, waits for the monitor's verdict, gets a P. */
struct m *wf_enter_slow(struct m *m);

static WF_ALWAYS_INLINE struct m_gate *
wf_gate(struct m *m)
{
	return (struct m_gate *)(void *)m;
}

/* Is the M inside now, with nobody disputing its P? */
static WF_ALWAYS_INLINE bool
wf_step_in(struct m *m)
{
	wf_store_relaxed(&wf_gate(m)->in_runtime, 1);			/* D1 */
	wf_compiler_barrier();	/* the monitor's membarrier orders D1 before D2 */
	return wf_likely(wf_load_acquire(&wf_gate(m)->hold) == HOLD_NONE);	/* D2 */
}

/* From user code into the runtime. Returns this thread's M, with its P held fast. */
static WF_ALWAYS_INLINE struct m *
wf_enter(void)
{
	struct m *m = wf_self();

	if (wf_unlikely(m == NULL))
		return wf_enter_slow(NULL);
	return wf_likely(wf_step_in(m)) ? m : wf_enter_slow(m);
}

/* The same without a call: NULL if it takes one. Then nothing has happened: use wf_enter(). */
static WF_ALWAYS_INLINE struct m *
wf_enter_try(void)
{
	struct m *m = wf_self();

	if (wf_unlikely(m == NULL))
		return NULL;
	if (wf_likely(wf_step_in(m)))
		return m;
	wf_store_release(&wf_gate(m)->in_runtime, 0);			/* D3 */
	return NULL;
}

/* Back to user code, on whatever thread the goroutine is now. */
static WF_ALWAYS_INLINE void
wf_leave(void)
{
	wf_store_release(&wf_gate(wf_self())->in_runtime, 0);		/* D3 */
}

/* The same for who has not parked since wf_enter() returned m. */
static WF_ALWAYS_INLINE void
wf_leave_from(struct m *m)
{
	wf_store_release(&wf_gate(m)->in_runtime, 0);			/* D3 */
}

/* ---- Returning from a wait: README.md, "Leaving a stack" ---- */

/* In the public function itself, before it may wait. */
static WF_ALWAYS_INLINE void
wf_waits_here(struct m *m, enum wf_wait_reason reason)
{
	wf_gate(m)->left_at = __builtin_return_address(0);
	wf_gate(m)->left_for = reason;
}

/*
 * In a function between that one and the switch, as its end: returns r. By a jump if who waited
 * last went another way.
 */
static WF_ALWAYS_INLINE int
wf_returns_from(enum wf_wait_reason reason, int r)
{
	return wf_gate(wf_self())->left_for == reason ? r : wf_ctx_return_apart(r);
}

/* In the public function, as its end, after wf_leave(): returns r. */
static WF_ALWAYS_INLINE int
wf_returns_here(int r)
{
	return wf_gate(wf_self())->left_at == __builtin_return_address(0) ? r
									  : wf_ctx_return_apart(r);
}

/* The calling goroutine. Between wf_enter() and wf_leave() only. */
static WF_ALWAYS_INLINE struct g *
wf_g(void)
{
	return wf_gate(wf_self())->g;
}

#endif /* WEFT_SCHED_SELF_H */
