/*
 * What a leak checker must be told at the end of a process: goroutines that are still parked hold
 * memory, by pointers on their stacks. Those are no thread's, so that LeakSanitizer would not look
 * there, and would call all of it leaked. Nothing in builds without AddressSanitizer.
 *
 * The stacks are named only when the process ends, for a list of them would slow every goroutine
 * down. They are parked, most of them, and stay so: who is woken meanwhile may lose a block from
 * sight, and be reported.
 */
#include "sched/sched.h"

#include "sched/fiber.h"
#include "sched/gslab.h"
#include "sched/hooks.h"

#include <stdlib.h>

#ifdef WF_ASAN

static void
look_at(uintptr_t lo, uintptr_t hi)
{
	if (lo < hi)
		__lsan_register_root_region((void *)lo, hi - lo);
}

/*
 * The stack of g, and those of its frames that AddressSanitizer keeps elsewhere to find uses after
 * return. A frame of theirs is known by the pointers to it on the real stack.
 */
static void __attribute__((no_sanitize("address")))
look_at_stack(struct g *g, void *arg)
{
	uintptr_t lo = wf_load_relaxed(&g->stack_lo), hi = wf_load_relaxed(&g->stack_hi);
	void *fake = g->sanitizer;	/* once: it may end now, and forget it */

	(void)arg;
	if (wf_load_relaxed(&g->status) == G_WAITING && g->ctx.sp >= lo && g->ctx.sp < hi)
		lo = g->ctx.sp;
	if (lo == 0 || g->stack == NULL)
		return;		/* it has not run yet, or runs on a stack of its thread's */
	look_at(lo, hi);
	for (uintptr_t at = lo & ~(uintptr_t)7; fake != NULL && at < hi; at += 8) {
		void *beg = NULL, *end = NULL;

		if (__asan_addr_is_in_fake_stack(fake, *(void **)at, &beg, &end) != NULL)
			look_at((uintptr_t)beg, (uintptr_t)end);
	}
}

static void
at_exit(void)
{
	for (struct wf_chunk *c = wf_load_acquire(&wf_chunks); c != NULL; c = c->all_next)
		look_at((uintptr_t)c->gs, (uintptr_t)(c->gs + WF_CHUNK_GS));
	if (wf_fiber_keep_all(wf_load_relaxed(&wf_sched.is_forked) != 0))
		wf_g_each(look_at_stack, NULL);
}

void
wf_leaks_init(void)
{
	(void)atexit(at_exit);
}

#endif /* WF_ASAN */
