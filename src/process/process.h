/*
 * A child process as its own files see it: README.md.
 */
#ifndef WEFT_PROCESS_PROCESS_H
#define WEFT_PROCESS_PROCESS_H

#include <weft/process.h>

#include "base/compiler.h"
#include "sched/lock.h"

/*
 * Life: weft_spawn() to weft_process_free(), by one owner. Any goroutine may wait or kill between.
 *
 *   c  constant after weft_spawn()
 *   l  under lock
 */
struct weft_process {
	struct wf_lock lock;
	bool is_reaped;		/* l  exit and error are final */
	bool has_group;		/* c  leads a group of its own, which is killed with it */
	int kill_signal;	/* c  what comes before SIGKILL; SIGKILL: nothing */
	int64_t kill_delay;	/* c  and how long before */
	int pid;		/* c  may be another's once is_reaped */
	int pidfd;		/* l  -1 once is_reaped. Closed by whoever took it out */
	int pipes[3];		/* l  our ends, or -1 */
	int error;		/* l  0, or -ECHILD: somebody else took its status */
	weft_exit exit;		/* l */
};

/*
 * Between wf_enter() and wf_leave(): ends it by signo and, after delay ns (0: when it has ended),
 * SIGKILL, and takes its status. Blocks the thread; not cancellable.
 */
WF_PARKS void wf_process_end(struct weft_process *p, int signo, int64_t delay);

#endif /* WEFT_PROCESS_PROCESS_H */
