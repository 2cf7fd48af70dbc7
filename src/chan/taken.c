/*
 * Going through the waiters of a set event or a closed channel. README.md, "Many waiters at once",
 * whose steps and edge are cited here.
 */
#include "chan/taken.h"

#include "base/assert.h"

#include <string.h>

/* How many are claimed before they are readied, and before the monitor may have the P: 256 take
 * about 20 us, and the first of 100,000 need not wait for the last. */
#define BATCH 256

void
wf_taken_release(struct waitq *list, size_t elem_size, size_t max, struct gqueue *ready)
{
	struct waiter *w;

	for (; max > 0 && (w = list->head) != NULL; max--) {
		/* First: after either step below w is its goroutine's again. */
		list->head = w->next;
		if (list->head == NULL)
			list->tail = NULL;
		if (!wf_claim(w, (int)w->index)) {
			wf_store_release(&w->passed, true);		/* Y3 */
			continue;
		}
		wf_race_hide();
		if (w->elem != NULL && elem_size > 0)
			memset(w->elem, 0, elem_size);
		wf_race_show();
		w->n = 0;
		gqueue_put(ready, w->g);
	}
}

WF_PARKS void
wf_taken_release_all(struct waitq *list, size_t elem_size)
{
	while (list->head != NULL) {
		struct gqueue ready = {0};

		wf_taken_release(list, elem_size, BATCH, &ready);
		wf_ready_all(&ready);
		if (list->head == NULL)
			break;
		wf_leave();
		wf_enter();
	}
}

WF_PARKS void
wf_taken_await_pass(struct waiter *w)
{
	for (unsigned i = 0; !wf_load_acquire(&w->passed); i++) {	/* Y3 */
		if (i < 100)
			wf_cpu_relax();
		else
			wf_yield();
	}
}
