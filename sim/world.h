/*
 * The simulated machine: its threads, its clock, and the generator that decides everything. One per
 * run, in a process of its own, on one thread of the real machine. README.md is the law here.
 *
 * Who may touch what: the thread that runs, alone. There is no other.
 */
#ifndef WEFT_SIM_WORLD_H
#define WEFT_SIM_WORLD_H

#include <weft/sim.h>
#include "arch/arch.h"
#include "base/rand.h"
#include "os/os.h"

#include <stdatomic.h>

#define WF_SIM_THREADS 4096u

enum sim_state {
	SIM_RUNNABLE,		/* in world.runnable; the one that runs, too */
	SIM_BLOCKED,		/* in the kernel: until what it waits for, or its deadline */
	SIM_BUSY,		/* computes until its deadline */
	SIM_STALLED,		/* a fault: gets no processor until its deadline */
	SIM_ENDED,		/* in world.free */
};

struct sim_thread {
	struct wf_ctx ctx;		/* where it was left */
	struct m *self;			/* the runtime's thread-local */
	struct wf_os_exceptions exceptions;	/* and the C++ library's */
	uint32_t id;
	enum sim_state state;
	uint32_t at;			/* its place in world.runnable */
	int64_t priority;
	int64_t cpu_ns;			/* what its CPU clock shows */
	int64_t busy_since;
	int64_t deadline;		/* INT64_MAX: none */
	const _Atomic uint32_t *word;	/* of the futex it sleeps on, or NULL */
	int fd;				/* the descriptor it waits for, or -1 */
	bool waits_ring;		/* for any completion of io_uring's */
	short events;
	int result;			/* what the wait returns */
	uintptr_t stack_lo, stack_hi;
	void (*fn)(void *);
	void *arg;
	void (*exit_fn)(void *);
	void *exit_arg;
	bool is_foreign;		/* by weft_sim_thread() */
	struct sim_thread *next_free;
};

/* How the next thread is picked; by the seed. */
enum sim_style {
	SIM_RANDOM,		/* evenly among those that can go on */
	SIM_PRIORITY,		/* the one of highest priority, until that gets the lowest (PCT) */
	SIM_STYLES,
};

/* What the machine has of io_uring(7); by the seed, or by WEFT_POLLER. */
enum sim_ring {
	SIM_NO_RING,
	SIM_RING,		/* used as weft chooses by itself: for files */
	SIM_RING_FOR_ALL,	/* WEFT_POLLER=uring */
};

struct sim_world {
	struct sim_thread *current;	/* NULL: no run is on, or it is over */
	struct wf_rand rand;
	uint64_t seed;
	struct weft_sim_options options;

	int64_t now, start;
	uint64_t steps;
	int64_t step_ns;		/* what a step takes */
	uint32_t quantum;		/* steps until the next choice */
	uint32_t quantum_mean;
	uint32_t stall_one_in;		/* of the choices, while there are faults */
	enum sim_style style;
	int64_t lowest;			/* priority that anybody has */
	bool is_up;			/* the runtime has begun */
	bool has_failed;		/* what comes now is the report, at the run's time */
	uint64_t calls;			/* for resources, since then */
	uint64_t faults_until;		/* steps; then all goes well: the liveness phase */
	uint64_t hash;			/* of every choice so far */

	struct sim_thread *all[WF_SIM_THREADS];
	uint32_t n_all, n_live, n_foreign;
	struct sim_thread *runnable[WF_SIM_THREADS];
	uint32_t n_runnable;
	uint32_t n_fd_waits;
	uint32_t n_stalled;
	uint32_t n_outside;		/* in weft_sim_compute() and weft_sim_block() */
	int64_t next_deadline;		/* not later than the earliest of any thread */
	enum sim_ring ring;
	const char *poller;		/* WEFT_POLLER */
	bool file_system_is_old;	/* can't say whether it would wait */
	bool ring_is_old;		/* says EBUSY, as before Linux 5.19 */
	uint32_t n_ring_polls;		/* requests that wait for a descriptor */
	int64_t ring_due;		/* not later than any request goes on */
	int64_t refused_at;		/* when a thread was last refused */
	int64_t waste_ns;		/* for how long work has waited beside an idle P */
	struct sim_thread *free;
	struct sim_thread *ended;	/* its stack is in use until the switch is over */

	uintptr_t signal_lo, signal_hi;	/* the alternate stack: no switch from there */
	int report_fd;
};

extern struct sim_world wf_sim;

static inline bool
wf_sim_is_on(void)
{
	return wf_sim.current != NULL;
}

/* ---- world.c ---- */

/* Before each access that orders something, and each system call. */
void wf_sim_step(void);
/* Another thread goes on, if there is one that can. */
void wf_sim_relax(void);
/* A system call begins: a step, and a place to switch more often than at others. */
void wf_sim_call(void);
/* The caller waits in `state` until somebody calls wf_sim_wake() or the time has come: its result,
 * -ETIMEDOUT then. */
int wf_sim_block(enum sim_state state, int64_t deadline);
void wf_sim_wake(struct sim_thread *t, int result);
/* A thread that will run fn(arg); NULL: no room. */
struct sim_thread *wf_sim_thread_new(void (*fn)(void *), void *arg, size_t stack_bytes);
__attribute__((noreturn)) void wf_sim_thread_end(void);
/* Puts n into the hash of the run. */
void wf_sim_note(uint64_t n);

/* ---- choices ---- */

static inline uint32_t
wf_sim_below(uint32_t n)
{
	return wf_rand_below(&wf_sim.rand, n);
}

/* Shall this fault happen now? One in `n`, while faults of that kind are on. */
static inline bool
wf_sim_fault(unsigned kind, uint32_t n)
{
	return (wf_sim.options.faults & kind) != 0 && wf_sim.steps < wf_sim.faults_until &&
	    (wf_sim.is_up || (kind & WEFT_SIM_LUCK) != 0) && wf_sim_below(n) == 0;
}

/* A call for memory, a descriptor or a thread: shall it be refused? */
static inline bool
wf_sim_refuses(void)
{
	return wf_sim.is_up && wf_sim_is_on() && ++wf_sim.calls == wf_sim.options.fail_at;
}

/* ---- check.c ---- */

/* Nobody can go on until `until`. Fails when somebody should. */
void wf_sim_check_rest(int64_t until);
/* At each choice: somebody waits in a queue. Fails when it has for too long. */
void wf_sim_check_turns(void);
/* Nobody can go on, ever. */
__attribute__((noreturn)) void wf_sim_standstill(void);

/* ---- file.c ---- */

/* Wakes the threads whose descriptors are ready. Returns whether there was one. */
bool wf_sim_look_at_fds(void);

/* ---- uring.c ---- */

/* Does what is due. */
void wf_sim_ring_run(void);
/* Ends the polls whose descriptors are ready. Returns whether there was one. */
bool wf_sim_ring_look(void);
/* What it has submitted ends with it. */
void wf_sim_ring_thread_ends(const struct sim_thread *t);
/* weft closes fd: the ring must have no request for it. */
void wf_sim_ring_closes(int fd);

/* ---- machine.c ---- */

void *wf_sim_malloc(size_t n);
void *wf_sim_calloc(size_t count, size_t n);
void *wf_sim_realloc(void *p, size_t n);
void *wf_sim_aligned_alloc(size_t alignment, size_t n);

/* ---- run.c ---- */

/* The run has failed: says so with its seed, and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void wf_sim_fail(const char *fmt, ...);

#endif /* WEFT_SIM_WORLD_H */
