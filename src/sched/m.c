/*
 * Threads: started when a P has nobody to hold it, asleep when there is no P for them, ended when
 * they were idle for long. README.md, "States of an M".
 */
#include "sched/m.h"

#include <weft/go.h>
#include "os/os.h"
#include "sched/fiber.h"
#include "sched/panic.h"
#include "sched/sched.h"
#include "sched/self_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Idle threads beyond these end after IDLE_NS (Go keeps them for ever, W17). */
#define KEEP_IDLE 2u
#define IDLE_NS ((int64_t)5000000000)
#define SHORTAGE_TRIES 20	/* as Go for threads: sleeping 1, 2, ... 20 ms between them */
#if defined(WF_TSAN) || defined(WF_ASAN)
#define THREAD_STACK ((size_t)1 << 20)
#else
#define THREAD_STACK ((size_t)256 << 10)
#endif

/* Memory for a thread, zero but for what outlives it. Under sched.lock. NULL: none. */
struct m *
wf_m_new_locked(void)
{
	struct m *m = wf_sched.free_m;

	if (m != NULL) {
		wf_sched.free_m = m->idle_next;
		m->idle_next = NULL;
		return m;
	}
	m = aligned_alloc(WF_CACHELINE,
	    (sizeof(*m) + WF_CACHELINE - 1) & ~(size_t)(WF_CACHELINE - 1));
	if (m == NULL)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->id = wf_sched.next_m_id++;
	if (!wf_sched.has_membarrier)
		wf_store_relaxed(&m->gate.hold, HOLD_FENCED);
	wf_rand_init(&m->rand, (uint64_t)wf_os_now() + m->id);
	m->all_next = wf_load_relaxed(&wf_sched.all_m);
	/* M-ALL: release -> acquire in walkers of all_m. */
	wf_store_release(&wf_sched.all_m, m);
	return m;
}

/* What the thread itself must do once it runs. */
void
wf_m_init_self(struct m *m)
{
	wf_self_set(m);
	wf_store_relaxed(&m->gate.in_runtime, 1);
	wf_store_relaxed(&m->tid, wf_os_tid());
	wf_os_timer_slack_min();
	m->exceptions = wf_os_exceptions();
	m->sigstack = wf_os_sigaltstack_new(SIGSTACK_BYTES);
}

void
wf_note_wake(_Atomic uint32_t *note)
{
	/* N1: release -> acquire in wf_m_sleep: what the waker gave is seen. */
	wf_store_release(note, 1);
	(void)wf_os_futex_wake(note, 1);
}

/* Gives p to an M that sleeps with nobody else knowing it, and wakes it. */
void
wf_m_wake(struct m *m, struct p *p)
{
	m->next_p = p;
	wf_note_wake(&m->note);
}

/* Sleeps until the note is set; takes the P that came with it. */
void
wf_m_sleep(struct m *m)
{
	wf_rest_begin(m);
	while (wf_load_acquire(&m->note) == 0)				/* N1 */
		(void)wf_os_futex_wait(&m->note, 0, INT64_MAX);
	wf_rest_end(m);
	wf_store_relaxed(&m->note, 0);
	if (m->next_p != NULL) {
		struct p *p = m->next_p;

		m->next_p = NULL;
		wf_p_acquire(m, p);
	}
}

static void
idle_put_locked(struct m *m)
    WF_HOLDS(wf_sched.lock)
{
	m->is_idle = true;
	m->idle_prev = NULL;
	m->idle_next = wf_sched.idle_m;
	if (m->idle_next != NULL)
		m->idle_next->idle_prev = m;
	wf_sched.idle_m = m;
	wf_sched.n_idle_m++;
}

static void
idle_remove_locked(struct m *m)
    WF_HOLDS(wf_sched.lock)
{
	if (m->idle_prev != NULL)
		m->idle_prev->idle_next = m->idle_next;
	else
		wf_sched.idle_m = m->idle_next;
	if (m->idle_next != NULL)
		m->idle_next->idle_prev = m->idle_prev;
	m->idle_next = m->idle_prev = NULL;
	m->is_idle = false;
	wf_sched.n_idle_m--;
}

/* Ends an idle thread whose time is over, unless somebody just took it off the list. */
static bool
retire_idle(struct m *m)
{
	bool gone = false;

	wf_lock(&wf_sched.lock);
	if (m->is_idle && wf_sched.n_idle_m > KEEP_IDLE && !m->is_main_thread) {
		idle_remove_locked(m);
		gone = true;
	}
	wf_unlock(&wf_sched.lock);
	return gone;
}

/*
 * Until when may an idle thread sleep? Always with an end under ThreadSanitizer: it keeps a signal
 * that came upon a thread until that makes a call it knows, which the sleep is not.
 */
static int64_t
idle_until(bool is_one_more)
{
	return is_one_more || wf_race_is_watched() ? wf_os_now() + IDLE_NS : INT64_MAX;
}

/*
 * The M has no P and nothing to do: sleeps until it is given one (S5). Who is one of the few that
 * stay sleeps without end; of those there are never more, as each counts itself.
 */
void
wf_m_stop(struct m *m)
{
	int64_t until;

	WF_CHECK(m->p == NULL && !wf_load_relaxed(&m->is_spinning));
	wf_lock(&wf_sched.lock);
	idle_put_locked(m);
	until = idle_until(wf_sched.n_idle_m > KEEP_IDLE);
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
	wf_rest_begin(m);
	while (wf_load_acquire(&m->note) == 0) {			/* N1 */
		int r = wf_os_futex_wait(&m->note, 0, until);

		if (r == -ETIMEDOUT) {
			until = idle_until(false);
			WF_POINT("idle.overslept");
			if (retire_idle(m)) {
				m->is_exiting = true;
				break;
			}
		}
	}
	wf_rest_end(m);
	if (m->is_exiting)
		return;
	wf_m_sleep(m);
}

/* The thread's first function: the scheduler runs on its own stack. */
void
wf_m_main(void *arg)
{
	struct m *m = arg;
	struct p *p = m->next_p;

	wf_m_init_self(m);
	wf_os_thread_name("weft");
#ifdef WF_TSAN
	m->sanitizer = __tsan_get_current_fiber();
#endif
	wf_fiber_thread(m);
#ifdef WF_ASAN
	(void)wf_os_thread_stack(&m->g0_lo, &m->g0_hi);
#endif
	m->next_p = NULL;
	wf_p_acquire(m, p);
	wf_schedule(m);
	wf_m_exit(m);
}

/*
 * The process's first thread can't end before the process. It keeps its alternate stack, because
 * signals to the process come here first.
 */
static WF_NORETURN void
put_away(struct m *m)
{
	wf_self_set(NULL);
	wf_lock(&wf_sched.lock);
	wf_sched.n_m--;
	wf_sched.main_thread_is_away = true;
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
	wf_rest_begin(m);
	wf_os_pause_forever();
}

/* Ends the thread of m, which holds no P. On its own stack. */
void
wf_m_exit(struct m *m)
{
	if (m->is_main_thread)
		put_away(m);
	wf_os_sigaltstack_free(m->sigstack, SIGSTACK_BYTES);
	m->sigstack = NULL;
	wf_self_set(NULL);
	wf_store_relaxed(&m->tid, 0);
	wf_race_show();
	wf_lock(&wf_sched.lock);
	m->is_exiting = false;
	wf_store_relaxed(&m->is_hog, 0);
	m->locked_g = NULL;
	m->gate.g = NULL;
	wf_store_relaxed(&m->note, 0);
	m->idle_next = wf_sched.free_m;
	wf_sched.free_m = m;
	wf_sched.n_m--;
	wf_check_dead_locked();
	wf_unlock(&wf_sched.lock);
	wf_os_thread_exit();
}

bool
wf_be_patient(int *tries)
{
	_Atomic uint32_t word = 0;

	if (++*tries > SHORTAGE_TRIES)
		return false;
	(void)wf_os_futex_wait(&word, 0, wf_os_now() + *tries * (int64_t)1000000);
	return true;
}

/*
 * The system had no thread for m. One that has gone idle meanwhile does as well, for the P that m
 * was to have; m was counted, and is no more. False: there is none.
 */
static bool
wake_idle_instead(struct m *m)
{
	struct p *p = m->next_p;
	struct m *idle;

	wf_lock(&wf_sched.lock);
	idle = wf_sched.idle_m;
	if (idle != NULL) {
		idle_remove_locked(idle);
		wf_store_relaxed(&idle->is_spinning, wf_load_relaxed(&m->is_spinning));
		wf_store_relaxed(&m->is_spinning, 0);
		m->next_p = NULL;
		m->idle_next = wf_sched.free_m;
		wf_sched.free_m = m;
		wf_sched.n_m--;
	}
	wf_unlock(&wf_sched.lock);
	if (idle != NULL)
		wf_m_wake(idle, p);
	return idle != NULL;
}

/* A kernel thread for m, or another one instead, or the end. */
static void
start_thread(struct m *m)
{
	int tries = 0, r;

	while ((r = wf_os_thread_start(wf_m_main, m, THREAD_STACK, false)) != 0) {
		wf_store_relaxed(&wf_sched.was_refused, 1);
		if ((r != -EAGAIN && r != -ENOMEM) || !wf_be_patient(&tries))
			wf_fatal("runtime: failed to create new OS thread (have %u already; "
			    "errno=%d): see ulimit -u, the pids cgroup and weft_set_maxthreads",
			    wf_sched.n_m, -r);
		WF_POINT("m.refused");
		if (wake_idle_instead(m))
			return;
	}
}

/*
 * What a goroutine or a plain thread does to its thread - priority, affinity, namespaces,
 * credentials - a thread that it starts would inherit. So one that may have been changed leaves
 * that to the monitor (Go: the template thread).
 */
static bool
may_be_changed(const struct m *self)
{
	return self == NULL || self->is_foreign || self->locked_g != NULL || self->is_exiting ||
	    wf_load_relaxed(&self->is_hog);
}

/* Starts the threads that others left to the monitor. By the monitor. */
void
wf_m_start_deferred(void)
{
	struct m *list, *next;

	if (!wf_load_relaxed(&wf_sched.has_deferred_m))
		return;
	wf_lock(&wf_sched.lock);
	list = wf_sched.deferred_m;
	wf_sched.deferred_m = NULL;
	wf_store_relaxed(&wf_sched.has_deferred_m, 0);
	wf_unlock(&wf_sched.lock);
	for (struct m *m = list; m != NULL; m = next) {
		next = m->idle_next;
		m->idle_next = NULL;
		start_thread(m);
	}
}

static void
defer_start(struct m *m)
{
	wf_lock(&wf_sched.lock);
	m->idle_next = wf_sched.deferred_m;
	wf_sched.deferred_m = m;
	wf_store_relaxed(&wf_sched.has_deferred_m, 1);
	wf_unlock(&wf_sched.lock);
	wf_monitor_wake();
}

/* Go's words. */
static WF_NORETURN WF_COLD void
too_many(int limit)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "runtime: program exceeds %d-thread limit\n", limit);

	(void)wf_os_write(2, line, (size_t)n);
	wf_fatal("thread exhaustion");
}

/* A thread that is asleep, or one to be started: then *ret_is_new. NULL: there is no memory. */
static struct m *
idle_or_new(bool is_spinning, bool *ret_is_new)
{
	struct m *m;

	wf_lock(&wf_sched.lock);
	m = wf_sched.idle_m;
	*ret_is_new = m == NULL;
	if (m != NULL) {
		idle_remove_locked(m);
	} else {
		if (wf_sched.n_m >= (uint32_t)wf_sched.max_threads) {
			wf_unlock(&wf_sched.lock);
			too_many(wf_sched.max_threads);
		}
		m = wf_m_new_locked();
		if (m != NULL)
			wf_sched.n_m++;		/* now, so that check_dead counts it */
	}
	if (m != NULL)
		wf_store_relaxed(&m->is_spinning, is_spinning);
	wf_unlock(&wf_sched.lock);
	return m;
}

/*
 * Finds or makes a thread for p, which is the caller's; is_spinning: counted in n_spinning
 * already.
 */
void
wf_m_start(struct p *p, bool is_spinning)
{
	struct m *m;
	bool is_new;
	int tries = 0;

	while ((m = idle_or_new(is_spinning, &is_new)) == NULL)
		if (!wf_be_patient(&tries))
			wf_fatal("runtime: out of memory for a thread");
	if (!is_new) {
		wf_m_wake(m, p);
		return;
	}
	m->next_p = p;
	if (may_be_changed(wf_self()))
		defer_start(m);
	else
		start_thread(m);
}

int
weft_set_maxthreads(int n)
{
	int old;

	(void)wf_enter();
	wf_lock(&wf_sched.lock);
	old = wf_sched.max_threads;
	if (n >= 1)
		wf_sched.max_threads = n;
	wf_unlock(&wf_sched.lock);
	if (n >= 1 && wf_sched.n_m > (uint32_t)n)
		too_many(n);
	wf_leave();
	return old;
}
