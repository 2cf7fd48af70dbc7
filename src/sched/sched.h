/*
 * P and the scheduler's shared state; M is in m.h. Only sched/ and debug/ include this.
 *
 * Letters on the fields say who may touch them:
 *
 *   c  constant once published
 *   o  the owner only: for an M its own thread, for a P the M that holds it
 *   w  written by the owner, read by anyone: relaxed unless noted
 *   s  under sched.lock
 *   m  the monitor thread only
 *   x  has its own rules, given where its type is defined or at the field
 */
#ifndef WEFT_SCHED_SCHED_H
#define WEFT_SCHED_SCHED_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/probe.h"
#include "base/race.h"
#include "base/rand.h"
#include "sched/settings.h"
#include "sched/event.h"
#include "sched/g.h"
#include "sched/go.h"
#include "sched/hooks.h"
#include "sched/lock.h"
#include "sched/m.h"
#include "sched/metrics.h"
#include "sched/park.h"
#include "sched/poll.h"
#include "sched/runq.h"
#include "sched/self.h"
#include "sched/stack.h"
#include "sched/timer.h"

#define PROCS_MAX 1024u
#define THREADS_MAX 10000
#define FILE_THREADS 64u	/* WEFT_FILE_THREADS: what disks can use, and far below the limit */
#define STACK_CACHE 16u		/* warm stacks a P keeps */
#define G_CACHE 64u		/* dead goroutines a P keeps; moves them by half */
#define GOID_BATCH 16u
#define GLOBAL_TICK 61u		/* as Go: prime, so that it does not beat with user patterns */
#define SLICE_NS 10000000	/* as Go: 10 ms */
#define NEWEST_SLICES 10u	/* so long the newest come first without a round (E3) */
#define HOG_NICE 5		/* a third of the weight of a thread that holds a P */
#define SIGSTACK_BYTES ((size_t)64 << 10)
#ifndef SPIN_NAP_NS		/* else a model has set it: 0 = none */
#define SPIN_NAP_NS 50000	/* between two looks for work beside hand-overs (K3) */
#endif
#define OWN_PROCS_MAX 8u		/* with more Ps no ring becomes its holder's own (O4) */
#define PREFETCH_AHEAD 3u	/* of the ring: whose record the caches are asked for */
#define TIMER_SLACK_NS 200000	/* so late may a timer be ... */
#define TIMER_CROWD 8u		/* ... where so many are due in such a time */
#define POLL_PICKS 64u		/* a busy P asks the poller every so many goroutines (W4) */

enum p_status {
	P_IDLE,			/* on sched.idle_p */
	P_RUNNING,		/* held by p->m */
	P_DEAD,			/* beyond gomaxprocs; empty */
};

/* What the monitor wants of a P: flags of p->preempt. */
enum p_preempt {
	PREEMPT_NEXT = 1,	/* what is in runnext must not inherit the slice once more */
	PREEMPT_GLOBAL = 2,	/* one of the global queue comes before the ring */
	PREEMPT_SHARE = 4,	/* its ring must not be its own: not the monitor's wish */
};

/* Is the program dead, unless threads help that weft does not know? */
enum doubt {
	DOUBT_NONE,
	DOUBT_NEW,		/* somebody found so: the monitor is to look again soon */
	DOUBT_OLD,		/* the monitor knows, and looks again, later and later */
};

/* The timer heap of one P. Rules: timer.c. */
struct timers {
	struct wf_lock lock;
	_Atomic int64_t next;		/* when of the earliest; INT64_MAX. Written under lock */
	_Atomic int64_t crowd;		/* when those due at next share a wake; 0: not. A hint, as
					 * of the last firing. Written under lock */
	struct timer_entry *heap;	/* under lock */
	uint32_t n, n_sorted, cap;	/* under lock */
	uint16_t patience, left;	/* under lock: how often its P takes it before keeping it */
};

/*
 * A P is the right to run goroutines, and what goes with it: a run queue, a timer heap, and caches
 * that all threads would otherwise fight over. Never freed: a stale pointer to a P may always be
 * dereferenced; what it finds may be out of date.
 */
struct p {
	/* Read by every thief. */
	_Alignas(WF_CACHELINE) uint32_t id;	/* c  index in sched.all_p */
	_Atomic uint32_t status;		/* x  enum p_status; changed under sched.lock,
						 *    or by the owner */
	struct p *idle_next;			/* s  link while idle */
	_Atomic(struct m *) m;			/* w  owner; NULL exactly while not running */
	_Atomic uint8_t preempt;		/* x  enum p_preempt, set by the monitor, cleared
						 *    by the owner. A mark may get lost */

	/* Written on every switch. */
	_Alignas(WF_CACHELINE) _Atomic uint32_t schedtick;	/* w  + 1 per time slice */
	_Atomic uint32_t picks;			/* w  + 1 per goroutine run */
	_Atomic uint32_t hand_overs;		/* w  + 1 per goroutine run from runnext */
	uint32_t n_stacks;			/* o */
	struct wf_stack *stacks[STACK_CACHE];	/* o  warm default stacks, newest last */
	struct g *free_g;			/* o  dead goroutines */
	uint32_t n_free_g;			/* o */
	uint32_t looks_skipped;			/* o  looks at the poller put off in a row */
	uint32_t stolen;			/* o  by its last steal; 0: told apart already */
	uint32_t tiny_rest;			/* o  ns of the rest after that before, or 0 */
	int64_t stolen_at;			/* o */
	bool newest_first;			/* o  so many were started here: E1-E5 */
	uint32_t round_end;			/* o  the first in the ring that came after (E3) */
	uint32_t newest_slices;			/* o  such turns since E1 */
	int64_t newest_until;			/* o  coarse time when the oldest has a turn (E4) */
	uint64_t goid_next, goid_end;		/* o  ids this P may give out */
	_Atomic int64_t n_created;		/* w  goroutines born here ... */
	_Atomic int64_t n_ended;		/* w  ... and ended here: only sums mean anything */
	_Atomic uint64_t n_steals;		/* w  batches stolen by this P */
	_Atomic uint64_t trace;			/* x  what the trace knows of it: trace/README.md,
						 *    G5 */

	/* What the monitor saw last. */
	_Alignas(WF_CACHELINE) uint32_t seen_tick;	/* m */
	uint32_t seen_picks;			/* m */
	struct m *seen_m;			/* m  who held it */
	int64_t seen_since;			/* m  since when seen_tick stands */
	uint8_t seen_syscall;			/* m  syscall_tick of its M */
	bool seen_in_syscall;			/* m */
	int64_t seen_cpu;			/* m  CPU time of its M's thread at the last
						 *    look; -1 none */

	struct runq runq;			/* x */
	_Alignas(WF_CACHELINE) struct timers timers;	/* x */
	struct p_metrics metrics;		/* x */
};

/*
 * What a P writes on every switch is on no line that another P, a thief, or the monitor writes.
 * docs/scaling.md builds on it.
 */
_Static_assert(sizeof(struct p) % WF_CACHELINE == 0, "two Ps must not share a line");
_Static_assert(offsetof(struct p, schedtick) == WF_CACHELINE, "thieves read the line before");
_Static_assert(offsetof(struct p, seen_tick) % WF_CACHELINE == 0, "the monitor writes it");
_Static_assert(offsetof(struct p, runq) % WF_CACHELINE == 0, "thieves write its head");
_Static_assert(offsetof(struct p, timers) % WF_CACHELINE == 0, "others arm and stop timers");
_Static_assert(offsetof(struct p, metrics) % WF_CACHELINE == 0, "others arm and stop timers");

struct sched {
	/* Read by all, all the time; hardly ever written. */
	_Alignas(WF_CACHELINE) _Atomic uint32_t gomaxprocs;		/* w under lock */
	_Atomic uint32_t n_p;			/* Ps ever made: all_p[0..n_p) are valid.
						 * Written under lock */
	_Atomic(struct p *) all_p[PROCS_MAX];	/* c once set */

	/* The idle protocol: README.md, "Going idle, and being woken". */
	_Alignas(WF_CACHELINE) _Atomic uint32_t n_spinning;	/* x */
	_Atomic uint32_t n_idle_p;		/* x  length of idle_p; changed under lock */
	_Atomic uint32_t needspinning;		/* x  a hint */
	_Atomic uint32_t nap;			/* x  futex: 1 = one that spins naps; K1-K5 */
	_Atomic uint32_t seen_hand_overs;	/* x  by runnext, when a thread last looked in
						 *    vain; a hint */
	_Atomic int64_t seen_at;		/* x  when that was; a hint */
	struct p *idle_p;			/* s */

	_Alignas(WF_CACHELINE) struct wf_lock lock;
	struct gqueue runq;			/* s  the global queue */
	_Atomic uint32_t runq_len;		/* w under lock: runq.n, for looks without the
						 * lock */

	struct gqueue starved;			/* s  waiting for a stack */
	uint32_t starved_tries;			/* s  in vain, by the monitor, in a row */
	_Atomic uint32_t n_starved;		/* x  on starved, or trying again */
	_Atomic uint8_t went_idle;		/* x  a P has, since the monitor planned a nap;
						 * set under lock: M1 */

	struct m *idle_m;			/* s  newest first */
	uint32_t n_idle_m;			/* s */
	struct m *free_m;			/* s  ended threads' memory */
	struct m *deferred_m;			/* s  threads that the monitor shall start */
	_Atomic uint8_t has_deferred_m;		/* w under lock: deferred_m != NULL */
	_Atomic(struct m *) all_m;		/* push only */
	uint32_t n_m;				/* s  our threads, the monitor not counted */
	uint32_t n_foreign;			/* s  adopted threads that live */
	uint32_t n_locked_idle;			/* s  locked threads waiting for their goroutine */
	int max_threads;			/* s */
	uint32_t next_m_id;			/* s */
	uint32_t n_foreign_parked;		/* s */
	uint32_t n_foreign_servants;		/* s  adopted, of debug/: they wake nobody, and
						 * do not park */
	uint32_t n_service;			/* s  threads of debug/, which wake nobody and
						 * run no goroutine */
	bool main_thread_is_away;		/* s  the first thread waits for the end */

	/* The poller: last_poll is 0 while a thread blocks in it. */
	_Alignas(WF_CACHELINE) _Atomic int64_t last_poll;
	_Atomic int64_t poll_until;		/* when it will come back; INT64_MAX: not by
						 * itself */
	_Atomic uint32_t polling;		/* a thread asks without waiting */

	/* The monitor. */
	_Atomic uint32_t monitor_note;		/* futex */
	_Atomic uint8_t monitor_is_slow;	/* it sleeps for a millisecond or longer */
	_Atomic uint8_t monitor_is_deep;	/* it sleeps long, or until woken: nothing runs */
	_Atomic uint32_t gifts_left;		/* x  so many marked calls may give their P away
						 * without it; a hint */
	_Atomic uint8_t was_refused;		/* w  the system had no thread for us, once: no
						 *    more gifts */
	_Atomic uint8_t in_doubt;		/* x  enum doubt: deadlock.c, monitor.c */
	_Atomic int64_t now_coarse;		/* w  the monitor's last look at the clock, or
						 *    that of who ended its deep sleep */
	bool has_monitor;			/* s */
	_Atomic uint8_t is_forked;		/* this is a child of fork(2) */

	_Atomic uint64_t goid_gen;		/* next id not yet handed to a P */
	_Atomic uint32_t n_detached;		/* threads that run a goroutine without a P */
	_Atomic uint64_t n_detach_blocked;	/* counts, for schedtrace */
	_Atomic uint64_t n_detach_computing;
	_Atomic uint64_t n_hand_offs;		/* Ps given to another thread */
	_Atomic uint64_t n_idle_polls;		/* waits in the poller, and the monitor's looks */
	_Atomic uint64_t lock_wait_ns;		/* for mutexes, eight times what was measured */
	_Atomic int64_t n_outside;		/* goroutines born minus ended on threads
						 * without P */
	int64_t start;				/* c  weft_now() at boot */
	bool has_membarrier;			/* c */
	_Atomic uint8_t is_own_refused;		/* w  set once: no ring may be its holder's own */
	bool follows_limit;			/* s  neither the environment nor a call has
						 *    set gomaxprocs */
	bool main_exited;			/* s  main called weft_goexit */
	struct g *main_g;			/* c */
	struct wf_debug debug;			/* c  WEFT_DEBUG */
	struct wf_settings settings;		/* c */
};

extern struct sched wf_sched;

/*
 * Around a sleep inside the runtime, when all that m was about is done. G0: whoever starts to
 * listen either finds it resting, or it sees that there is somebody who listens (trace/README.md).
 */
static inline void
wf_rest_begin(struct m *m)
{
#ifdef WF_NO_EVENTS
	(void)m;
#else
	wf_store_release(&m->is_resting, 1);				/* G0 */
#endif
}

static inline void
wf_rest_end(struct m *m)
{
#ifdef WF_NO_EVENTS
	(void)m;
#else
	wf_store_seqcst(&m->is_resting, 0);				/* G0 */
#endif
}

/* ---- boot.c ---- */
void wf_boot(void);
/* ---- procs.c: Ps ---- */
void wf_procs_init(uint32_t n);
struct p *wf_p_get_idle_locked(struct p *prefer) WF_HOLDS(wf_sched.lock);
void wf_p_put_idle_locked(struct p *p) WF_HOLDS(wf_sched.lock);
void wf_p_acquire(struct m *m, struct p *p);
void wf_p_take(struct m *m, struct p *p);
struct p *wf_p_release(struct m *m);
void wf_p_retire(struct p *p) WF_MUST_NOT_HOLD(wf_sched.lock);
/* ---- m.c: threads ---- */
struct m *wf_m_new_locked(void) WF_HOLDS(wf_sched.lock);
void wf_m_init_self(struct m *m);
void wf_m_start(struct p *p, bool is_spinning);
void wf_m_start_deferred(void) WF_MUST_NOT_HOLD(wf_sched.lock);
/*
 * The system was short of something: waits a little, longer each time, 0.2 s in all. False: that is
 * over. *tries is 0 at first. The thread sleeps, so not under a lock.
 */
bool wf_be_patient(int *tries);
void wf_m_stop(struct m *m) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_m_sleep(struct m *m);
void wf_m_wake(struct m *m, struct p *p);
WF_NORETURN void wf_m_exit(struct m *m) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_m_main(void *arg);
void wf_note_wake(_Atomic uint32_t *note);
/* ---- switch.c, life.c ---- */
WF_PARKS void wf_switch_to_g0(struct m *m, struct g *from);
WF_NORETURN void wf_g_exit(struct g *g);
/* Where the scheduler of a thread begins, on that thread's own stack. */
void wf_g0_main(void *carry);
/* ---- find.c: finding work ---- */
struct g *wf_find_runnable(struct m *m);
void wf_schedule(struct m *m);
/* ---- queue.c: putting work ---- */
void wf_global_put(struct g *g) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_global_put_all_locked(struct gqueue *q) WF_HOLDS(wf_sched.lock);
struct g *wf_global_take_locked(struct p *p, uint32_t max) WF_HOLDS(wf_sched.lock);
enum wf_inject_where {
	INJECT_HERE,		/* on the own P's ring, if there is one and it has room */
	INJECT_IN_TURN,		/* there too, but behind what waits on the global queue */
};
void wf_inject(struct gqueue *q, enum wf_inject_where where) WF_MUST_NOT_HOLD(wf_sched.lock);
/* ---- wake.c: the idle protocol ---- */
void wf_wake_one(void);
void wf_stop_spinning(struct m *m);
bool wf_start_spinning(struct m *m, bool force);
void wf_hand_off(struct p *p) WF_MUST_NOT_HOLD(wf_sched.lock);
bool wf_has_work(int64_t now);
void wf_fence_owners(void);
void wf_refuse_own(struct p *p);
void wf_wake_poller(int64_t when);
void wf_want_poller(void);
/* ---- locked.c: goroutines locked to threads ---- */
void wf_stop_locked(struct m *m) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_start_locked(struct m *m, struct g *g) WF_MUST_NOT_HOLD(wf_sched.lock);
/* ---- starve.c: goroutines without a stack ---- */
void wf_starve(struct g *g) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_starved_no_more(struct g *g) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_starved_feed(uint32_t max, bool is_monitor) WF_MUST_NOT_HOLD(wf_sched.lock);
void wf_starved_check_dead_locked(void) WF_HOLDS(wf_sched.lock);
/* ---- enter.c ---- */
struct m *wf_adopt_foreign(void);
/* ---- deadlock.c ---- */
void wf_check_dead_locked(void) WF_HOLDS(wf_sched.lock);
/* ---- gslab.c ---- */
struct g *wf_g_alloc(void);
void wf_g_free(struct g *g);
uint64_t wf_goid_new(struct m *m);
bool wf_g_scavenge(void);
bool wf_g_has_surplus(void);
/* ---- timer.c ---- */
void wf_timers_init(struct timers *ts);
int64_t wf_timers_run(struct timers *ts, int64_t now, struct gqueue *ready);
void wf_timers_move(struct timers *from, struct timers *to);
int64_t wf_timers_next_all(void);
int64_t wf_timers_share(int64_t until, int64_t now);
/* ---- monitor.c, detach.c ---- */
void wf_monitor_main(void *arg);
void wf_monitor_wake(void);
bool wf_detach(struct m *m, struct p *p, bool is_blocked);
/*
 * m is inside the runtime, and its goroutine on the way out into a call that is likely to block:
 * gives its P to another thread, unless the monitor is deciding about it. Needs 8 KiB of stack.
 */
void wf_give_up_p(struct m *m);
/* ---- metrics.c ---- */
void wf_metrics_sample(struct p *p, struct g *g);
void wf_metrics_ran(struct p *p, struct g *g);
/* One wait in eight for a lock is measured: when it began, or 0. */
int64_t wf_metrics_lock_wait(void);
void wf_metrics_lock_waited(int64_t began);
/*
 * Time of processors since boot, of all and of idle ones, as the monitor's looks have it: what it
 * saw counts until the next look. A reader's question is a look, too, so neither goes back.
 */
void wf_metrics_cpu(int64_t now, uint64_t *ret_all_ns, uint64_t *ret_idle_ns);

/* Somebody without a P has asked the poller, which brought so many. */
static inline void
metrics_idle_poll(uint32_t n)
{
	metrics_add(&wf_sched.n_idle_polls);
	WF_PROBE1(poll, n);
}

/* g is about to be queued on p. */
static WF_ALWAYS_INLINE void
metrics_ready(struct p *p, struct g *g)
{
#ifndef WF_SMALL
	if (wf_unlikely(p->metrics.sampled_at != wf_load_relaxed(&wf_sched.now_coarse)))
		wf_metrics_sample(p, g);
#else
	(void)p;
	(void)g;
#endif
}
/* ---- go.c ---- */
int wf_numgoroutine(void);
/* ---- boot.c, procs.c: the number of Ps ---- */
void wf_procs_follow_limit(void) WF_MUST_NOT_HOLD(wf_sched.lock);
/* ---- numcpu.c ---- */
int wf_numcpu(void);
int wf_numcpu_from(const char *root, int affinity);
/* Instead of the system's: a test's directory and mask. Constant from before boot; NULL: none. */
struct wf_numcpu_view {
	const char *root;
	int affinity;
};
extern const struct wf_numcpu_view *wf_numcpu_view;

#endif /* WEFT_SCHED_SCHED_H */
