/*
 * What the system does with a signal, and the handler. README.md, S1 and S2. Knows no channel.
 */
#include "signal/signal.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "os/os.h"
#include "sched/hooks.h"

#include <errno.h>
#include <signal.h>

typedef void (*plain_fn)(int);

/*
 *   S1  pending: acq_rel in on_signal -> acq_rel exchange in wf_signal_take
 *       A bit that was clear rings the bell after it was set, so whoever drains the bell and then
 *       takes, takes it; one that was set is on its way.
 *   S2  arriving: acq_rel in on_signal -> acquire in wf_signal_is_arriving
 *       Who sees 0 after the handler was taken off sees the bits of all that had entered it.
 */
static _Atomic uint64_t pending;	/* S1 */
static _Atomic uint32_t arriving;	/* S2 */
static int bell = -1;			/* constant once a state is set */

/* By signal; entry 0 is not used. Written by the one caller of wf_signal_set(). */
static struct {
	enum signal_state state;
	struct sigaction before;	/* constant unless UNTOUCHED */
	/* What before was, for the handler; at most one. No order: a late handler calls either. */
	_Atomic(plain_fn) plain;
	_Atomic(wf_os_sigfn) info;
} actions[SIGNAL_MAX + 1];

/* Any thread, anywhere: atomics and one write(2). */
static void
on_signal(int sig, siginfo_t *si, void *uctx)
{
	uint64_t bit = SIGNAL_BIT(sig);
	plain_fn plain;
	wf_os_sigfn info;

	(void)wf_add_acqrel(&arriving, 1u);				/* S2 */
	WF_POINT("signal.arriving");
	if (!(wf_or_acqrel(&pending, bit) & bit))			/* S1 */
		wf_os_eventfd_ring(bell);
	/* Before the program's handler, which may not return. */
	(void)wf_sub_acqrel(&arriving, 1u);				/* S2 */
	plain = wf_load_relaxed(&actions[sig].plain);
	info = wf_load_relaxed(&actions[sig].info);
	if (info != NULL)
		info(sig, si, uctx);
	else if (plain != NULL)
		plain(sig);
}

uint64_t
wf_signal_take(void)
{
	return wf_xchg_acqrel(&pending, UINT64_C(0));			/* S1 */
}

bool
wf_signal_is_arriving(void)
{
	return wf_load_acquire(&arriving) != 0;				/* S2 */
}

bool
wf_signal_is_valid(int sig)
{
	switch (sig) {
	case SIGKILL:
	case SIGSTOP:
	/* They are of the code that runs, which cannot go on. */
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	/* libc's own. */
	case 32:
	case 33:
		return false;
	default:
		return sig >= 1 && sig <= SIGNAL_MAX;
	}
}

int
wf_signal_open(void)
{
	if (bell < 0)
		bell = wf_os_eventfd();
	return bell < 0 ? bell : 0;
}

int
wf_signal_bell(void)
{
	return bell;
}

enum signal_state
wf_signal_state(int sig)
{
	return actions[sig].state;
}

/* Whom the handler calls on. Our own dump at SIGQUIT is not meant to come before the channel. */
static void
chain(int sig, const struct sigaction *old)
{
	bool is_info = (old->sa_flags & SA_SIGINFO) != 0 && !wf_crash_owns(old) &&
	    !wf_lint_owns(old);
	bool is_plain = !(old->sa_flags & SA_SIGINFO) && old->sa_handler != SIG_DFL &&
	    old->sa_handler != SIG_IGN;

	wf_store_relaxed(&actions[sig].info, is_info ? old->sa_sigaction : NULL);
	wf_store_relaxed(&actions[sig].plain, is_plain ? old->sa_handler : NULL);
}

/* Unless the program has put something else in the place of what we set. */
static int
restore(int sig)
{
	struct sigaction now;
	bool is_ours;

	if (wf_os_sigaction_get(sig, &now) != 0)
		return -EINVAL;
	is_ours = actions[sig].state == SIGNAL_IGNORED
	    ? !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN
	    : (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_signal;
	return is_ours ? wf_os_sigaction_restore(sig, &actions[sig].before) : 0;
}

int
wf_signal_set(int sig, enum signal_state to)
{
	int r = 0;

	if (actions[sig].state == to)
		return 0;
	if (actions[sig].state == SIGNAL_UNTOUCHED) {
		r = wf_os_sigaction_get(sig, &actions[sig].before);
		if (r < 0)
			return r;
		chain(sig, &actions[sig].before);
	}
	if (to == SIGNAL_NOTIFIES)
		r = wf_os_sigaction_deferred(sig, on_signal);
	else if (to == SIGNAL_IGNORED)
		r = wf_os_sigaction_ignore(sig);
	else
		r = restore(sig);
	if (r == 0)
		actions[sig].state = to;
	return r;
}
