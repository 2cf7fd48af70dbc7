/*
 * Fibers of a program that is told: fiber.h.
 *
 * AddressSanitizer keeps the frames of a stack in a "fake stack", and frees that when the stack is
 * left for good. The end of the process looks into those of all goroutines (debug/leaks.c), while
 * other threads go on: from then on none is freed.
 */
#include "sched/fiber.h"

#include "sched/lock.h"
#include "sched/sched.h"

#include <stddef.h>

#ifdef WF_ASAN

static struct wf_lock lock;
static bool keeps_all WF_GUARDED_BY(lock);
static void *nowhere WF_GUARDED_BY(lock);	/* what nobody will come back to */

/* Its own frame must not lie where it frees. */
void __attribute__((no_sanitize("address")))
wf_fiber_leave_for_good(void **fake, const void *bottom, size_t size)
{
	wf_lock(&lock);
	WF_POINT("fiber.leaves");
	__sanitizer_start_switch_fiber(keeps_all ? &nowhere : NULL, bottom, size);
	if (!keeps_all)
		*fake = NULL;
	wf_unlock(&lock);
}

bool
wf_fiber_keep_all(bool is_forked)
{
	if (!is_forked)
		wf_lock(&lock);
	else if (!wf_trylock(&lock))
		return false;
	keeps_all = true;
	wf_unlock(&lock);
	return true;
}

#endif /* WF_ASAN */

#if !defined(WF_TSAN) && !defined(WF_NO_RACES)

static void *main_fiber;	/* constant once the runtime has started; it has no wf_stack */

void
wf_fiber_boot_told(struct m *m)
{
	main_fiber = __tsan_get_current_fiber();
	m->fiber = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(m->fiber, 1);
	wf_race_hide();
	__tsan_switch_to_fiber(main_fiber, 1);
}

void
wf_fiber_thread_told(struct m *m)
{
	m->fiber = __tsan_get_current_fiber();
	wf_race_hide();
}

void
wf_fiber_new_told(struct m *m, struct g *g, struct wf_stack *s)
{
	void *here = __tsan_get_current_fiber();

	__tsan_switch_to_fiber(m->fiber, 1);
	wf_stack_renew(s);
	s->fiber = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(s->fiber, 1);
	wf_race_acquire(g);
	__tsan_switch_to_fiber(here, 1);
}

void
wf_fiber_end_told(struct wf_stack *s)
{
	__tsan_destroy_fiber(s->fiber);
	s->fiber = NULL;
}

void
wf_fiber_switch_told(struct m *m)
{
	const struct g *to = m->gate.g;
	void *fiber = m->fiber;

	if (to != NULL)
		fiber = to->stack != NULL ? to->stack->fiber : main_fiber;
	__tsan_switch_to_fiber(fiber, 1);
}

void *
wf_fiber_speak_for(struct g *g)
{
	void *here = __tsan_get_current_fiber();

	if (wf_load_relaxed(&g->flags) & GF_BOUND) {	/* its thread's is in use */
		wf_race_acquire(&g->flags);
		return NULL;
	}
	__tsan_switch_to_fiber(g->stack != NULL ? g->stack->fiber : main_fiber, 1);
	return here;
}

void
wf_fiber_speak_again(struct g *g, void *here)
{
	if (here != NULL)
		__tsan_switch_to_fiber(here, 1);
	else
		wf_race_release(&g->flags);
}

void
wf_fiber_tell_bound(bool begins)
{
	struct g *g = wf_self()->gate.g;

	if (!(wf_load_relaxed(&g->flags) & GF_BOUND))
		return;
	if (begins)
		wf_race_release(&g->flags);
	else
		wf_race_acquire(&g->flags);
}

#endif
