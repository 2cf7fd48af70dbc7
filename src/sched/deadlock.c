/*
 * Is the program dead? Nothing runs, nothing can wake anybody: say so and end (Go: checkdead).
 *
 * Only when every thread of ours sleeps for good, no timer is set, nobody waits in the poller, and
 * the process has no threads that weft does not know: those might bring work. Then the report
 * can't be a false alarm, whatever order the threads went to sleep in, because all counts are
 * under sched.lock and a thread that is being started is counted before it exists; one that wakes
 * nobody, once it is there. README.md, "Is the program dead?".
 */
#include "sched/sched.h"

#include "os/os.h"
#include "sched/panic.h"

/*
 * Has a foreign thread been woken that has not gone on yet? It still counts as parked. Its
 * waker set the note before it went to sleep itself, under the lock that we hold.
 */
static bool
foreign_is_waking(void)
{
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next)
		if (m->is_foreign && wf_load_relaxed(&m->note) != 0)
			return true;
	return false;
}

/* May threads that we do not know of bring work? */
static bool
strangers_may_help(void)
{
	int ours = (int)(wf_sched.n_m + wf_sched.n_foreign) + (wf_sched.has_monitor ? 1 : 0)
	    + (wf_sched.main_thread_is_away ? 1 : 0) + (int)wf_sched.n_service;
	int n = wf_os_thread_count();

	WF_POINT("deadlock.counted");
#ifdef WF_TSAN
	ours++;		/* ThreadSanitizer has a thread of its own */
#endif
	ours += wf_race_told();
	return n < 0 || n > ours;
}

/*
 * Only threads that we do not know could still help. When they end nobody tells us, and a thread of
 * ours that ends counts as one until the kernel has buried it: so the monitor looks again, later
 * and later (monitor.c).
 */
static void
doubt_locked(void)
    WF_HOLDS(wf_sched.lock)
{
	/* Either the monitor sees this before it sleeps deeply, or we see that it does. */
	wf_store_seqcst(&wf_sched.in_doubt, DOUBT_NEW);
	if (wf_load_seqcst(&wf_sched.monitor_is_deep))
		wf_monitor_wake();
}

void
wf_service_begins(void)
{
	WF_POINT("service.begins");
	wf_lock(&wf_sched.lock);
	wf_sched.n_service++;
	wf_unlock(&wf_sched.lock);
}

void
wf_service_ends(void)
{
	wf_lock(&wf_sched.lock);
	wf_sched.n_service--;
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
}

/*
 * Under sched.lock, whenever a thread has gone to sleep or has ended, and when the monitor looks
 * again. Does not return from a dead program.
 */
void
wf_check_dead_locked(void)
{
	uint32_t asleep = wf_sched.n_idle_m + wf_sched.n_locked_idle;

	if (wf_poll_nwaiters() > 0 || wf_sched.runq.n > 0)
		return;
	if (asleep + 1 == wf_sched.n_m && wf_load_seqcst(&wf_sched.last_poll) == 0) {
		/* The last one awake waits in the poller, for nothing: it shall find out itself. */
		if (wf_timers_next_all() == INT64_MAX)
			wf_poll_wake();
		return;
	}
	if (asleep < wf_sched.n_m || wf_timers_next_all() != INT64_MAX ||
	    wf_sched.n_foreign - wf_sched.n_foreign_servants > wf_sched.n_foreign_parked ||
	    foreign_is_waking())
		return;
	if (strangers_may_help()) {
		doubt_locked();
		return;
	}
	if (wf_load_relaxed(&wf_sched.n_starved) != 0) {
		wf_starved_check_dead_locked();
		return;
	}
	/* A wake that is on its way to a sleeper has taken it off the idle list already. */
	wf_unlock(&wf_sched.lock);
	if (wf_sched.main_exited && wf_numgoroutine() == 0)
		wf_fatal_all("no goroutines (main called runtime.Goexit) - deadlock!");
	wf_fatal_all("all goroutines are asleep - deadlock!");
}
