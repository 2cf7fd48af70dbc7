/*
 * The death of the process: one report, whoever begins it. Parts: crash.c (order, fatal errors and
 * panics), fault.c (signals). README.md, "Crash".
 */
#ifndef WEFT_DEBUG_CRASH_H
#define WEFT_DEBUG_CRASH_H

#include "debug/dump.h"
#include "sched/hooks.h"

/*
 * Makes the caller the one who reports. Others that crash meanwhile wait for the end. A second
 * crash of the same thread, in the report itself, does not return.
 */
struct dump *wf_crash_begin(void);
/* Ends the process: status 2, or the signal sig (0: SIGABRT) if core files are wanted. */
WF_NORETURN void wf_crash_end(struct dump *d, int sig);

/* Installs the handlers. */
void wf_fault_init(void);

#endif /* WEFT_DEBUG_CRASH_H */
