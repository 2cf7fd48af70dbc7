/*
 * What the sanitizers must be told about stacks. Empty in normal builds.
 *
 * ThreadSanitizer: a fiber per stack; the switch is announced right before it, with flag 0,
 * which makes it a synchronisation edge. AddressSanitizer: announced before, confirmed after; a
 * stack that is left for good passes no place to save its fake stack.
 */
#ifndef WEFT_SCHED_FIBER_H
#define WEFT_SCHED_FIBER_H

#include "base/compiler.h"

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

#endif /* WEFT_SCHED_FIBER_H */
