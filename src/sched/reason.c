/*
 * Names of wait reasons, as dumps and traces print them.
 *
 * Go's strings where Go has the wait, because people and tools search for them. Go has no wait of
 * its own for Once (its Mutex shows), scopes and name lookups; ours are named alike.
 */
#include "sched/g.h"

const char *const wf_wait_reason_names[WAIT_REASON_MAX] = {
	[WAIT_NONE] = "waiting",
	[WAIT_CHAN_RECV] = "chan receive",
	[WAIT_CHAN_SEND] = "chan send",
	[WAIT_CHAN_RECV_NIL] = "chan receive (nil chan)",
	[WAIT_CHAN_SEND_NIL] = "chan send (nil chan)",
	[WAIT_SELECT] = "select",
	[WAIT_SELECT_NONE] = "select (no cases)",
	[WAIT_EVENT] = "event wait",
	[WAIT_SLEEP] = "sleep",
	[WAIT_IO] = "IO wait",
	[WAIT_MUTEX] = "sync.Mutex.Lock",
	[WAIT_RWMUTEX_R] = "sync.RWMutex.RLock",
	[WAIT_RWMUTEX_W] = "sync.RWMutex.Lock",
	[WAIT_COND] = "sync.Cond.Wait",
	[WAIT_WAITGROUP] = "sync.WaitGroup.Wait",
	[WAIT_SEM] = "semacquire",
	[WAIT_ONCE] = "sync.Once.Do",
	[WAIT_FLIGHT] = "flight wait",
	[WAIT_SCOPE] = "scope wait",
	[WAIT_SCOPE_GO] = "scope go",
	[WAIT_LOOKUP] = "name lookup",
	[WAIT_GOEXIT] = "goexit",
};

const char *
wf_wait_reason_name(enum wf_wait_reason r)
{
	/* A reader may see anything of a goroutine that changes meanwhile. */
	if ((unsigned)r >= WAIT_REASON_MAX || wf_wait_reason_names[r] == NULL)
		return "waiting";
	return wf_wait_reason_names[r];
}
