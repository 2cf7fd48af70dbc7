/*
 * The bound on threads that files may cost, and weft_blocking, for whatever else blocks. A slot is
 * held while one operation waits for a disk, be it by a call that blocks a thread of ours or by
 * one of the kernel's; who finds none stands in line, first come, first served.
 */
#include "io/slot.h"

#include <weft/file.h>
#include <weft/go.h>
#include <weft/sync.h>

#include "sched/panic.h"
#include "sched/park.h"
#include "sched/settings.h"

/*
 *   F1  is_made: release in slots -> acquire in slots
 *       Who sees it sees a semaphore with its permits.
 */
static weft_sem sem;
static _Atomic bool is_made;
static struct wf_lock lock;	/* of making it */

static weft_sem *
slots(void)
{
	if (wf_unlikely(!wf_load_acquire(&is_made))) {			/* F1 */
		wf_lock(&lock);
		if (!wf_load_relaxed(&is_made))	/* the lock orders it */
			weft_sem_init(&sem, wf_settings()->file_threads);
		wf_store_release(&is_made, true);			/* F1 */
		wf_unlock(&lock);
	}
	return &sem;
}

int
wf_slot_acquire(int64_t deadline)
{
	weft_sem *s = slots();
	int r;

	if (wf_likely(weft_sem_tryacquire(s, 1)))
		return 0;
	wf_leave();	/* the semaphore is a public one: it enters by itself */
	r = weft_sem_acquire(s, 1, deadline);
	(void)wf_enter();
	return r;
}

void
wf_slot_release(void)
{
	wf_leave();
	weft_sem_release(slots(), 1);
	(void)wf_enter();
}

/* The user's function panics, or ends its goroutine. Outside the runtime. */
static void
cut_short(void *unused)
{
	(void)unused;
	weft_syscall_exit();
	weft_sem_release(slots(), 1);
}

WF_API_PARKS int
weft_blocking(int (*fn)(void *), void *arg, int64_t deadline)
{
	struct wf_defer defer;
	int r;

	(void)wf_enter();
	r = wf_slot_acquire(deadline);
	if (r == 0) {
		wf_defer_push(&defer, cut_short, NULL);
		wf_blocking_begin();
		r = fn(arg);
		wf_blocking_end();
		wf_defer_remove(&defer);
		wf_slot_release();
	}
	wf_leave();
	return r;
}
