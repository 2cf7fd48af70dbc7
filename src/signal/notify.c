/*
 * Channels that want signals, and the goroutine that serves them: README.md, "Stopping" T1-T4.
 */
#include "signal/signal.h"

#include <weft/panic.h>
#include <weft/sync.h>

#include "chan/chan.h"
#include "io/io.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sched/park.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define RETRY_NS 10000000	/* no poller to be had: time to look again */

/* Life: from the first notify of a channel to its stop, or until no signal is left for it. */
struct watcher {
	struct watcher *next;	/* under lock */
	weft_chan *chan;	/* constant; a reference */
	uint64_t wants;		/* under lock: SIGNAL_BIT of each */
};

static weft_mutex ops;		/* one call of the interface at a time; may park */
static bool is_served;		/* under ops: the goroutine exists */
static struct wf_lock lock;	/* of the list, against the goroutine */
static struct watcher *watchers WF_GUARDED_BY(lock);

static uint64_t
wanted_locked(void)
    WF_HOLDS(lock)
{
	uint64_t all = 0;

	for (struct watcher *w = watchers; w != NULL; w = w->next)
		all |= w->wants;
	return all;
}

/* Sends what has come. Returns what nobody wants. */
static uint64_t
send_locked(struct gqueue *ready)
    WF_HOLDS(lock)
{
	uint64_t came = wf_signal_take(), wanted = wanted_locked();

	for (struct watcher *w = watchers; w != NULL; w = w->next) {
		for (uint64_t left = w->wants & came; left != 0; left &= left - 1) {
			int sig = __builtin_ctzll(left) + 1;

			/* Full, or closed: dropped, as in Go. */
			(void)wf_chan_trysend_collect(w->chan, &sig, ready);
		}
	}
	return came & ~wanted;
}

/* A signal that came too late for a channel has the effect that it has now (T4). */
static void
give_back(uint64_t lost)
{
	for (; lost != 0; lost &= lost - 1)
		wf_os_kill_self(__builtin_ctzll(lost) + 1);
}

static void
deliver(void)
{
	struct gqueue ready = {0};
	uint64_t lost;

	wf_lock(&lock);
	lost = send_locked(&ready);
	wf_unlock(&lock);
	wf_ready_all(&ready);
	give_back(lost);
}

static void
serve(void *unused)
{
	uint64_t rings;

	(void)unused;
	(void)wf_enter();
	for (;;) {
		ssize_t r = wf_io_read(wf_signal_bell(), &rings, sizeof(rings), WEFT_FOREVER);

		if (r < 0)
			(void)wf_park(NULL, NULL, WAIT_SLEEP, wf_os_now() + RETRY_NS, false);
		deliver();
	}
}

/* Under ops. */
static int
start(void)
{
	const struct wf_go_args args = {
	    .fn = serve,
	    .name = "weft_signal",
	    .is_nobodys = true,
	    .caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	int r = wf_signal_open();

	if (r == 0 && !is_served) {
		r = wf_go(&args);
		is_served = r == 0;
	}
	return r;
}

static struct watcher *
find_locked(const weft_chan *c)
    WF_HOLDS(lock)
{
	struct watcher *w = watchers;

	while (w != NULL && w->chan != c)
		w = w->next;
	return w;
}

/* Under ops: sig is wanted by c. */
static int
add(weft_chan *c, int sig)
{
	struct watcher *w, *fresh = calloc(1, sizeof(*fresh));
	int r;

	if (fresh == NULL)
		return -ENOMEM;
	r = start();
	if (r == 0) {
		wf_lock(&lock);
		w = find_locked(c);
		if (w == NULL) {
			w = fresh;
			fresh = NULL;
			w->chan = weft_chan_ref(c);
			w->next = watchers;
			watchers = w;
		}
		w->wants |= SIGNAL_BIT(sig);
		wf_unlock(&lock);
		r = wf_signal_set(sig, SIGNAL_NOTIFIES);
	}
	free(fresh);
	return r;
}

WF_API_PARKS int
weft_signal_notify(weft_chan *c, int signo)
{
	int r = -EINVAL;

	weft_mutex_lock(&ops);
	(void)wf_enter();
	if (c == NULL) {
		wf_leave();
		weft_mutex_unlock(&ops);
		weft_panic("weft_signal_notify using nil channel");
	}
	if (wf_signal_is_valid(signo) && c->elem_size == sizeof(int))
		r = add(c, signo);
	wf_leave();
	weft_mutex_unlock(&ops);
	return r;
}

/* Under ops, between wf_enter() and wf_leave(): T1 and T2 for all signals of mask. */
WF_PARKS static void
stop_arriving(uint64_t mask, enum signal_state to)
{
	for (; mask != 0; mask &= mask - 1)
		(void)wf_signal_set(__builtin_ctzll(mask) + 1, to);	/* T1 */
	while (wf_signal_is_arriving())					/* T2 */
		wf_yield();
}

/* T3 for those signals, of one channel or, with NULL, of all. */
WF_PARKS static void
forget(weft_chan *c, uint64_t mask)
{
	struct gqueue ready = {0};
	struct watcher **at, *w, *gone = NULL;
	uint64_t lost;

	wf_lock(&lock);
	lost = send_locked(&ready);					/* T3 */
	for (at = &watchers; (w = *at) != NULL;) {
		if (c == NULL || w->chan == c)
			w->wants &= ~mask;
		if (w->wants == 0) {
			*at = w->next;
			w->next = gone;
			gone = w;
		} else {
			at = &w->next;
		}
	}
	wf_unlock(&lock);
	wf_ready_all(&ready);
	give_back(lost);
	wf_leave();
	while ((w = gone) != NULL) {
		gone = w->next;
		weft_chan_unref(w->chan);
		free(w);
	}
	(void)wf_enter();
}

WF_API_PARKS void
weft_signal_stop(weft_chan *c)
{
	uint64_t others = 0, mine = 0;

	weft_mutex_lock(&ops);
	(void)wf_enter();
	wf_lock(&lock);
	for (struct watcher *w = watchers; w != NULL; w = w->next)
		*(w->chan == c ? &mine : &others) |= w->wants;
	wf_unlock(&lock);
	if (mine != 0) {
		stop_arriving(mine & ~others, SIGNAL_UNTOUCHED);
		forget(c, mine);
	}
	wf_leave();
	weft_mutex_unlock(&ops);
}

WF_PARKS static int
set(int signo, enum signal_state to)
{
	uint64_t mask = 0;

	if (signo != 0 && !wf_signal_is_valid(signo))
		return -EINVAL;
	weft_mutex_lock(&ops);
	(void)wf_enter();
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		if (signo == sig || (signo == 0 && wf_signal_state(sig) != SIGNAL_UNTOUCHED))
			mask |= SIGNAL_BIT(sig);
	stop_arriving(mask, to);
	forget(NULL, mask);
	wf_leave();
	weft_mutex_unlock(&ops);
	return 0;
}

WF_API_PARKS int
weft_signal_ignore(int signo)
{
	return signo == 0 ? -EINVAL : set(signo, SIGNAL_IGNORED);
}

WF_API_PARKS int
weft_signal_reset(int signo)
{
	return set(signo, SIGNAL_UNTOUCHED);
}

bool
weft_signal_ignored(int signo)
{
	struct sigaction now;

	return wf_signal_is_valid(signo) && wf_os_sigaction_get(signo, &now) == 0 &&
	    !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN;
}
