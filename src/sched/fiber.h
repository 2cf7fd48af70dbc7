/*
 * What the sanitizers must be told about stacks. Empty in normal builds, but for the last part.
 *
 * ThreadSanitizer: a fiber per stack; the switch is announced right before it, with flag 0,
 * which makes it a synchronisation edge. AddressSanitizer: announced before, confirmed after; a
 * stack that is left for good passes no place to save its fake stack.
 */
#ifndef WEFT_SCHED_FIBER_H
#define WEFT_SCHED_FIBER_H

#include "base/race.h"

struct g;
struct m;
struct wf_stack;

#ifdef WF_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

#ifdef WF_ASAN
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);
void *__asan_addr_is_in_fake_stack(void *fake, void *addr, void **beg, void **end);
void __lsan_register_root_region(const void *p, size_t n);

/* Instead of __sanitizer_start_switch_fiber(NULL, ...). *fake: NULL, or what is kept. */
void wf_fiber_leave_for_good(void **fake, const void *bottom, size_t size);
/*
 * No fake stack is freed any more. False: this is a child of fork(2), and a thread that is not
 * there was about to free one.
 */
bool wf_fiber_keep_all(bool is_forked);
#endif

/*
 * Told: a program with ThreadSanitizer has a weft without it (base/race.h). Again a fiber per
 * stack, but with flag 1: a switch orders nothing for the user. And a new one per goroutine, made
 * on the fiber of the thread's own stack, so that nobody happens before it but who said go; and on
 * fresh memory, because the stack's last owner did not happen before it either.
 */
void wf_fiber_boot_told(struct m *m);
void wf_fiber_new_told(struct m *m, struct g *g, struct wf_stack *s);
void wf_fiber_end_told(struct wf_stack *s);
/* Right before a switch to m->gate.g, or if that is NULL to m's own stack. */
void wf_fiber_switch_told(struct m *m);
void wf_fiber_thread_told(struct m *m);

/*
 * Until wf_fiber_speak_again(), with what the first returned, all that is told is told of g, which
 * is parked and which nobody else may ready. If g lives on a foreign thread it is told of the
 * caller, too, who has acquired what g released by wf_fiber_tell_bound(); and g will acquire it.
 */
void *wf_fiber_speak_for(struct g *g);
void wf_fiber_speak_again(struct g *g, void *here);
/* This goroutine, if it is such a one, begins to wait or has waited. */
void wf_fiber_tell_bound(bool begins);

/* m's thread has begun, on its own stack, where nothing of the user's is done. */
static inline void
wf_fiber_thread(struct m *m)
{
	if (wf_race_told())
		wf_fiber_thread_told(m);
}

#endif /* WEFT_SCHED_FIBER_H */
