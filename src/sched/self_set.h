/*
 * Writing the thread-local of self.c: once at the start of a thread, once at its end. Apart
 * from self.h, so that nobody else is tempted.
 */
#ifndef WEFT_SCHED_SELF_SET_H
#define WEFT_SCHED_SELF_SET_H

#include "arch/arch.h"

extern _Thread_local struct m *wf_tls_m;

void wf_self_set(struct m *m);

#endif /* WEFT_SCHED_SELF_SET_H */
