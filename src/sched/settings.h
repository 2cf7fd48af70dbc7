/*
 * What the environment says for layers above the scheduler. Read at the start, constant after it.
 */
#ifndef WEFT_SCHED_SETTINGS_H
#define WEFT_SCHED_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wf_poller {
	WF_POLLER_DEFAULT,	/* what is faster: see poll/README.md */
	WF_POLLER_EPOLL,	/* no io_uring(7) at all */
	WF_POLLER_URING,	/* sockets too, if it can be had */
};

struct wf_settings {
	enum wf_poller poller;		/* WEFT_POLLER */
	bool tells_poller;		/* WEFT_DEBUG=poller=1 */
	uint32_t file_threads;		/* WEFT_FILE_THREADS */
};

const struct wf_settings *wf_settings(void);

/* ---- For the start (boot.c) ---- */

void wf_settings_from_env(struct wf_settings *ret, bool tells_poller);
/* The number of Ps that is asked for (WEFT_MAXPROCS, GOMAXPROCS), or 0. */
uint32_t wf_procs_from_env(void);
/* WEFT_STACK: a number of bytes, or with K or M; 0 when it is not set or means nothing. */
size_t wf_stack_from_env(void);

#endif /* WEFT_SCHED_SETTINGS_H */
