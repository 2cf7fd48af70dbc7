/*
 * AddressSanitizer keeps the frames of a stack in a "fake stack", and frees that when the stack is
 * left for good. The end of the process looks into those of all goroutines (debug/leaks.c), while
 * other threads go on: from then on none is freed.
 */
#include "sched/fiber.h"

#include "sched/lock.h"

#include <stddef.h>

#ifdef WF_ASAN

static struct wf_lock lock;
static bool keeps_all;		/* under lock */
static void *nowhere;		/* under lock: what nobody will come back to */

/* Its own frame must not lie where it frees. */
void __attribute__((no_sanitize("address")))
wf_fiber_leave_for_good(void **fake, const void *bottom, size_t size)
{
	wf_lock(&lock);
	__sanitizer_start_switch_fiber(keeps_all ? &nowhere : NULL, bottom, size);
	if (!keeps_all)
		*fake = NULL;
	wf_unlock(&lock);
}

bool
wf_fiber_keep_all(bool is_forked)
{
	if (is_forked && !wf_trylock(&lock))
		return false;
	if (!is_forked)
		wf_lock(&lock);
	keeps_all = true;
	wf_unlock(&lock);
	return true;
}

#endif /* WF_ASAN */
