/*
 * Who is blocked, and for how long: a report on demand. Printing is dump.c's.
 */
#include "debug/dump.h"

#include <weft/debug.h>
#include "debug/peek.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/sched.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Does the kernel keep the thread that g, which has lost its P, runs on? Since when, if so. */
static bool
is_stuck(const struct g *g, int64_t *ret_since)
{
	const struct m *m = g->m;
	uint8_t is_detached = 0;
	int tid = 0, state;

	/* Through the kernel: others write it while we look (as in dump.c). */
	if (m == NULL ||
	    !wf_peek_copy(&is_detached, (uintptr_t)&m->is_detached, sizeof(is_detached), true) ||
	    !is_detached ||
	    !wf_peek_copy(ret_since, (uintptr_t)&m->detached_at, sizeof(*ret_since), true) ||
	    !wf_peek_copy(&tid, (uintptr_t)&m->tid, sizeof(tid), true))
		return false;
	state = wf_os_thread_state(tid);
	return state == 'S' || state == 'D';
}

bool
wf_dump_is_blocked(const struct g *g, int64_t now, int64_t ns)
{
	int64_t since;

	switch (wf_load_relaxed(&g->status)) {
	case G_WAITING:
		since = wf_load_relaxed(&g->since);
		break;
	case G_RUNNING:
		if (!is_stuck(g, &since))
			return false;
		break;
	default:
		return false;
	}
	return now - since >= ns;
}

WF_API_PARKS int
weft_dump_blocked(int fd, int64_t ns)
{
	struct dump *d = malloc(sizeof(*d));
	int n;

	if (d == NULL)
		return -ENOMEM;
	(void)wf_enter();
	wf_dump_init(d, fd);
	d->self = wf_g();
	d->blocked_ns = wf_max(ns, (int64_t)0);
	/* Outside while it prints, as weft_dump(): that may take long. */
	wf_leave();
	wf_dump_others(d);
	n = (int)wf_min(d->n_others, (size_t)INT_MAX);
	wf_dump_fini(d);
	free(d);
	return n;
}
