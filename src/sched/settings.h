/*
 * What the environment says for layers above the scheduler. Read at the start, constant after it.
 */
#ifndef WEFT_SCHED_SETTINGS_H
#define WEFT_SCHED_SETTINGS_H

#include <stdbool.h>
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

#endif /* WEFT_SCHED_SETTINGS_H */
