/*
 * The monitor: a thread without a P that sees to what nobody else would do in time (Go: sysmon).
 * It detaches Ps from threads that block or compute (detach.c), ends the slices of runnext
 * chains, asks the poller when all are busy, gives free memory back, follows the cgroup limit,
 * and prints WEFT_DEBUG=schedtrace.
 */
#include "sched/pick.h"

#include "os/os.h"
#include "sched/self_set.h"

#include <errno.h>

#define ROUND_MIN_NS 20000		/* as Go */
#define ROUND_MAX_NS 10000000		/* as Go */
#define ROUND_WANTED_NS 500000		/* while work waits: what is blocked is found within 1 ms */
#define QUIET_ROUNDS 50			/* as Go: then the rounds get longer */
#define IDLE_ROUNDS 10			/* rounds without anybody running before it sleeps deeply */
#define REST_NS 1000000000		/* who has slept for so long will soon sleep again: ... */
#define REST_ROUNDS 0			/* ... then the first is enough */
/* Looks without a nap, some 50 us: as long as a thread needs to start and block like the last. */
#define EAGER_LOOKS 12
/* Ps that threads may give away by themselves, since we saw one asleep; a short call ends that. */
#define GIFTS 1024
#define POLL_STALE_NS 1000000		/* nobody asked the poller for so long: we do (Go: 10 ms) */
#define REVALIDATE_NS 100000000
#define SCAVENGE_NS 500000
#define SCAVENGE_AGE_NS 1000000000	/* what was free for less is likely to be wanted again */
#define LIMIT_NS 1000000000		/* cgroup limits are looked at once a second, as in Go; */
#define LIMIT_REST_NS 30000000000	/* less often (it takes 0.1 ms) while mostly asleep */
#define DOUBT_MIN_NS 1000000		/* whether the program is dead: looked at again after so */
#define DOUBT_MAX_NS 10000000000	/* long, then twice as long, up to this */

static struct {
	int64_t slept;			/* the present length of a round */
	int quiet;			/* rounds in which nothing was done */
	int idle;			/* rounds in which all Ps were idle */
	int idle_enough;		/* so many of them, and it sleeps deeply */
	int64_t awake_at;		/* since when it has not slept for REST_NS */
	int64_t last_revalidate, last_trace, last_limit, last_feed, last_global;
	int64_t doubt_at;		/* when to look again whether the program is dead, ... */
	int64_t doubt_ns;		/* ... and how long that was put off */
	uint8_t doubt_seen;		/* sched.in_doubt when the nap was planned */
	int eager;			/* so many looks follow each other at once */
	bool may_scavenge;		/* now; else when it is older, if anything is */
	bool has_young;			/* stacks that were freed lately, or nobody has looked */
} mon;

void
wf_monitor_wake(void)
{
	(void)wf_xchg_seqcst(&wf_sched.monitor_note, 1u);
	WF_POINT("monitor.told");
	/* Also if it was set: who set it may have been stopped here, for nobody knows how long. */
	(void)wf_os_futex_wake(&wf_sched.monitor_note, 1);
}

/* Sleeps until the time, or until somebody calls wf_monitor_wake(). */
static void
nap(struct m *m, int64_t ns)
{
	int64_t until = ns == INT64_MAX ? INT64_MAX : wf_os_now() + ns;

	wf_store_relaxed(&wf_sched.monitor_is_slow, ns >= ROUND_WANTED_NS);
	wf_rest_begin(m);
	while (wf_load_acquire(&wf_sched.monitor_note) == 0)
		if (wf_os_futex_wait(&wf_sched.monitor_note, 0, until) == -ETIMEDOUT)
			break;
	wf_rest_end(m);
	wf_store_relaxed(&wf_sched.monitor_is_slow, 0);
	/* An exchange: it sees the wake that it clears, and what that waker has left for us. */
	(void)wf_xchg_seqcst(&wf_sched.monitor_note, 0u);
}

/* Does work wait that nobody can take, because no P is idle and nobody looks? */
static bool
work_waits(int64_t now)
{
	if (wf_load_seqcst(&wf_sched.n_spinning) != 0 || !wf_has_work(now))
		return false;
	if (wf_load_seqcst(&wf_sched.n_idle_p) == 0)
		return true;
	/*
	 * A yield puts the yielder on its queue without waking anybody, since it brings no new
	 * work. When what runs next then blocks in the kernel, only we are left to notice.
	 */
	wf_wake_one();
	return false;
}

static void
mark(struct p *p, enum p_preempt what)
{
	wf_store_relaxed(&p->preempt, (uint8_t)(wf_load_relaxed(&p->preempt) | what));
}

/*
 * Is the global queue to have a turn on every P now? One in 61 goroutines comes from there anyhow,
 * which is rare where each runs for milliseconds and then yields.
 */
static bool
global_is_due(int64_t now)
{
	if (wf_load_relaxed(&wf_sched.runq_len) == 0 || now - mon.last_global < SLICE_NS)
		return false;
	mon.last_global = now;
	return true;
}

/* Has p's goroutine been outside the runtime since the last look, and nothing else happened? */
static bool
is_stuck(struct p *p, struct m *m, int64_t now, bool *ret_again)
{
	uint32_t tick = wf_load_relaxed(&p->schedtick), picks = wf_load_relaxed(&p->picks);
	uint8_t syscall = wf_load_relaxed(&m->gate.syscall_tick);
	bool in_syscall = wf_load_relaxed(&m->gate.in_syscall) != 0;
	bool same = m == p->seen_m && picks == p->seen_picks && syscall == p->seen_syscall &&
	    in_syscall == p->seen_in_syscall;

	if (tick != p->seen_tick) {
		p->seen_tick = tick;
		p->seen_since = now;
	} else if (now - p->seen_since >= SLICE_NS && picks != p->seen_picks) {
		/* It runs one from runnext after the other: others have a right too. */
		mark(p, PREEMPT_NEXT);
		p->seen_since = now;
	}
	*ret_again = same;
	if (!same) {
		p->seen_m = m;
		p->seen_picks = picks;
		p->seen_syscall = syscall;
		p->seen_in_syscall = in_syscall;
		p->seen_cpu = -1;
	}
	return same && wf_load_relaxed(&m->gate.in_runtime) == 0;
}

/*
 * Is the thread asleep in the kernel? Its CPU clock stood still between two looks, and the kernel
 * says so. The second is dear (8 us), the first cheap (0.3 us).
 */
static bool
is_blocked(struct p *p, struct m *m)
{
	int tid = wf_load_relaxed(&m->tid);
	int64_t cpu = wf_os_thread_cpu(tid), seen = p->seen_cpu;
	int state;

	p->seen_cpu = cpu;
	if (cpu < 0 || cpu != seen)
		return false;
	state = wf_os_thread_state(tid);
	return state == 'S' || state == 'D' || state == 'T' || state == 't';
}

/* Is the thread in a marked call, and asleep there? Then one look is enough. */
static bool
is_asleep_as_marked(struct m *m)
{
	int state;

	if (wf_load_relaxed(&m->gate.in_syscall) == 0 || wf_load_relaxed(&m->gate.in_runtime) != 0)
		return false;
	state = wf_os_thread_state(wf_load_relaxed(&m->tid));
	return state == 'S' || state == 'D';
}

/* Looks at all running Ps. Returns how many it took. */
static int
retake(int64_t now)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);
	bool wanted = work_waits(now), due = global_is_due(now);
	int taken = 0, n_marked = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct p *p = wf_load_acquire(&wf_sched.all_p[i]);
		struct m *m = wf_load_acquire(&p->m);
		bool again, stuck, marked;

		if (m == NULL)
			continue;
		if (due)
			mark(p, PREEMPT_GLOBAL);
		stuck = is_stuck(p, m, now, &again);
		/* X3: it has not noticed yet that it is not alone any more. */
		if (!(wanted || wf_p_must_retire(p) || (n > 1 && !runq_may_steal(&p->runq))))
			continue;
		marked = again ? stuck && wf_load_relaxed(&m->gate.in_syscall)
			       : is_asleep_as_marked(m);
		if (!again && !marked) {
			/* New here: with its clock read now, the next look can tell. */
			p->seen_cpu = wf_os_thread_cpu(wf_load_relaxed(&m->tid));
			continue;
		}
		if (marked)
			n_marked += wf_detach(m, p, true);
		else if (stuck && is_blocked(p, m))
			taken += wf_detach(m, p, true);
		else if (now - p->seen_since >= SLICE_NS)	/* inside just now or not */
			taken += wf_detach(m, p, false);
		if (wanted)
			wanted = work_waits(now);
	}
	/* What runs next there is likely to make the same call. */
	if (n_marked != 0 && wanted) {
		mon.eager = EAGER_LOOKS;
		wf_store_relaxed(&wf_sched.gifts_left, GIFTS);
	}
	return taken + n_marked;
}

/*
 * Asks the poller if goroutines wait there and nobody asked for a while. Returns whether any
 * came.
 */
static bool
poll_for_the_busy(int64_t now)
{
	int64_t last = wf_load_relaxed(&wf_sched.last_poll);
	struct gqueue q = { 0 };
	uint32_t n;

	if (wf_poll_nwaiters() == 0 || last == 0 || now - last < POLL_STALE_NS)
		return false;
	if (!wf_cas_acqrel(&wf_sched.last_poll, &last, now))
		return false;
	wf_poll_wait(0, &q);
	metrics_idle_poll(q.n);
	n = q.n;
	if (n == 0)
		return false;
	wf_inject(&q, INJECT_IN_TURN);
	wf_poll_done(n);
	return true;
}

/*
 * Somebody thinks that the program is dead unless threads help that weft does not know. Are they
 * still there?
 */
static void
doubt(int64_t now)
{
	switch (wf_load_seqcst(&wf_sched.in_doubt)) {
	case DOUBT_NONE:
		return;
	case DOUBT_NEW:
		wf_store_seqcst(&wf_sched.in_doubt, DOUBT_OLD);
		mon.doubt_ns = DOUBT_MIN_NS;
		mon.doubt_at = now + mon.doubt_ns;
		return;
	default:
		break;
	}
	if (now < mon.doubt_at)
		return;
	wf_lock(&wf_sched.lock);
	wf_store_seqcst(&wf_sched.in_doubt, DOUBT_NONE);
	wf_check_dead_locked();
	if (wf_load_relaxed(&wf_sched.in_doubt) != DOUBT_NONE)
		wf_store_seqcst(&wf_sched.in_doubt, DOUBT_OLD);
	wf_unlock(&wf_sched.lock);
	mon.doubt_ns = wf_min(2 * mon.doubt_ns, (int64_t)DOUBT_MAX_NS);
	mon.doubt_at = now + mon.doubt_ns;
}

/* What need not be done often. */
static void
housekeeping(int64_t now)
{
	const struct wf_debug *d = &wf_sched.debug;

	if (now - mon.last_revalidate >= REVALIDATE_NS) {
		mon.last_revalidate = now;
		if (wf_poll_wants_look())
			(void)wf_poll_revalidate();
		mon.may_scavenge = true;
	}
	if (wf_load_seqcst(&wf_sched.n_starved) != 0 && now - mon.last_feed >= ROUND_MAX_NS) {
		mon.last_feed = now;
		wf_starved_feed(UINT32_MAX, true);
	}
	if (mon.may_scavenge) {
		enum wf_scavenged r = wf_stack_scavenge(SCAVENGE_AGE_NS, SCAVENGE_NS);

		mon.may_scavenge = r == SCAVENGED_SOME || wf_g_scavenge();
		mon.has_young = r == SCAVENGED_OLD;
	}
	if (now - mon.last_limit >= (now - mon.awake_at >= LIMIT_NS ? LIMIT_NS : LIMIT_REST_NS)) {
		mon.last_limit = now;
		wf_procs_follow_limit();
	}
	if (d->lint)
		wf_lint_round(now);
	if (d->schedtrace_ms > 0 && now - mon.last_trace >= d->schedtrace_ms * 1000000) {
		mon.last_trace = now;
		wf_lock(&wf_sched.lock);
		wf_schedtrace_print((now - wf_sched.start) / 1000000, d->scheddetail);
		wf_unlock(&wf_sched.lock);
	}
}

/* Processor time, for metrics. */
static void
note_cpu(int64_t now)
{
#ifndef WF_SMALL
	uint64_t all, idle;

	wf_metrics_cpu(now, &all, &idle);
#else
	(void)now;
#endif
}

static bool
all_idle(void)
{
	return wf_load_seqcst(&wf_sched.n_idle_p) >= wf_load_relaxed(&wf_sched.gomaxprocs);
}

/* How long the next nap is; INT64_MAX: until somebody runs. */
static int64_t
next_nap(int64_t now, bool did_something)
{
	const struct wf_debug *d = &wf_sched.debug;
	int64_t ns;

	/* Who ran may have freed what nobody gives back while we sleep deeply. */
	if (wf_xchg_acquire(&wf_sched.went_idle, 0) != 0 || !all_idle())
		mon.has_young = true;
	mon.idle = all_idle() ? mon.idle + 1 : 0;
	mon.quiet = did_something ? 0 : mon.quiet + 1;
	if (mon.quiet == 0)
		mon.slept = ROUND_MIN_NS;
	else if (mon.quiet > QUIET_ROUNDS)
		mon.slept = wf_min(mon.slept * 2, (int64_t)ROUND_MAX_NS);
	ns = mon.slept;
	if (mon.eager > 0) {
		mon.eager--;
		return 0;
	}
	if (mon.idle == 0 && ns > ROUND_WANTED_NS && work_waits(now))
		ns = ROUND_WANTED_NS;
	if (mon.may_scavenge || wf_poll_wants_look())	/* else a wait that just began is missed */
		return wf_min(ns, mon.may_scavenge ? 1000000 : REVALIDATE_NS / 2);
	if (mon.idle > mon.idle_enough && ns >= ROUND_MAX_NS &&
	    wf_load_seqcst(&wf_sched.n_starved) == 0) {
		ns = mon.has_young && (wf_stack_has_surplus() || wf_g_has_surplus()) ?
		    SCAVENGE_AGE_NS : INT64_MAX;
		mon.doubt_seen = wf_load_seqcst(&wf_sched.in_doubt);
		if (mon.doubt_seen != DOUBT_NONE)
			ns = wf_min(ns, wf_max(mon.doubt_at - now, (int64_t)ROUND_MAX_NS));
	}
	if (d->lint && mon.idle == 0)
		ns = wf_min(ns, (int64_t)WF_LINT_ROUND_NS);
	if (d->schedtrace_ms > 0)
		ns = wf_min(ns, d->schedtrace_ms * 1000000);
	return ns;
}

/* It slept deeply, from `since` until now. */
static void
woke_up(int64_t since, int64_t now)
{
	bool rested = now - since >= REST_NS;

	mon.idle_enough = rested ? REST_ROUNDS : IDLE_ROUNDS;
	if (rested)
		mon.awake_at = now;
}

void
wf_monitor_main(void *arg)
{
	struct m *m = arg;

	wf_self_set(m);
	wf_store_relaxed(&m->gate.in_runtime, 1);
	wf_store_relaxed(&m->tid, wf_os_tid());
	wf_os_timer_slack_min();
	wf_os_thread_name("weft-monitor");
	wf_race_hide();
	mon.slept = ROUND_MIN_NS;
	mon.idle_enough = IDLE_ROUNDS;
	mon.awake_at = mon.last_limit = wf_os_now();
	mon.may_scavenge = true;
	for (bool did = false;;) {
		int64_t now = wf_os_now(), ns;

		wf_store_relaxed(&wf_sched.now_coarse, now);
		ns = next_nap(now, did);
		if (ns > ROUND_MAX_NS) {
			/*
			 * Deep: whoever takes an idle P wakes us (wf_p_get_idle_locked), and
			 * whoever is newly in doubt (deadlock.c). Who took one and gave it back
			 * since we planned this may have starved, or freed stacks.
			 */
			wf_store_seqcst(&wf_sched.monitor_is_deep, 1);
			if (!all_idle() || wf_load_relaxed(&wf_sched.went_idle) != 0 ||	/* M1 */
			    wf_load_seqcst(&wf_sched.in_doubt) != mon.doubt_seen)
				ns = ROUND_MAX_NS;
			WF_POINT("monitor.deep");
		}
		nap(m, ns);
		if (ns > ROUND_MAX_NS)
			woke_up(now, wf_os_now());
		wf_store_seqcst(&wf_sched.monitor_is_deep, 0);
		WF_POINT("monitor.round");
		wf_m_start_deferred();
		now = wf_os_now();
		wf_store_relaxed(&wf_sched.now_coarse, now);
		note_cpu(now);
		did = poll_for_the_busy(now);
		did = retake(now) > 0 || did;
		doubt(now);
		housekeeping(now);
	}
}
