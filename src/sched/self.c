/*
 * The library's one thread-local: which M this thread is. Read by wf_self() in arch/ only,
 * through volatile assembly, because compilers keep the address of a thread-local across
 * calls, and a goroutine may be on another thread after any of them.
 */
#include "sched/self.h"

#include "sched/self_set.h"

__attribute__((tls_model("initial-exec"), visibility("hidden"))) _Thread_local struct m *wf_tls_m;

WF_NOINLINE void
wf_self_set(struct m *m)
{
	wf_tls_m = m;
}

#ifdef WF_TSAN
_Atomic uint32_t wf_fence_word;
#endif
