/*
 * Between action.c, which sets what the system does with a signal and notes those that come, and
 * notify.c, which sends them to channels. README.md.
 */
#ifndef WEFT_SIGNAL_SIGNAL_H
#define WEFT_SIGNAL_SIGNAL_H

#include <weft/signal.h>

#include "base/atomic.h"

#define SIGNAL_MAX 64
#define SIGNAL_BIT(sig) (UINT64_C(1) << ((sig) - 1))

/* What weft has done to a signal. */
enum signal_state {
	SIGNAL_UNTOUCHED,
	SIGNAL_NOTIFIES,
	SIGNAL_IGNORED,
};

/* Can it be handled, by us? */
bool wf_signal_is_valid(int sig);

/* Makes what can fail. Once, before any state is set. 0, -EMFILE. */
int wf_signal_open(void);
/* The eventfd that tells of signals. */
int wf_signal_bell(void);

/* One caller at a time. 0 or -EINVAL. */
int wf_signal_set(int sig, enum signal_state to);
enum signal_state wf_signal_state(int sig);

/* Takes the signals that have come since the last time, a bit for each (S1). */
uint64_t wf_signal_take(void);
/* Does a handler run just now, that has not noted its signal yet? (S2) */
bool wf_signal_is_arriving(void);

#endif /* WEFT_SIGNAL_SIGNAL_H */
