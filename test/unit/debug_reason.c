/*
 * Wait reasons are searched for by people and scripts that know Go: a changed word breaks them, a
 * missing one prints nothing where the answer should stand.
 */
#include "sched/g.h"

#include "test.h"

#include <string.h>

TEST(names_are_gos)
{
	static const struct {
		enum wf_wait_reason reason;
		const char *name;
	} table[] = {
	    {WAIT_CHAN_RECV, "chan receive"},
	    {WAIT_CHAN_SEND, "chan send"},
	    {WAIT_CHAN_RECV_NIL, "chan receive (nil chan)"},
	    {WAIT_CHAN_SEND_NIL, "chan send (nil chan)"},
	    {WAIT_SELECT, "select"},
	    {WAIT_SELECT_NONE, "select (no cases)"},
	    {WAIT_EVENT, "event wait"},
	    {WAIT_SLEEP, "sleep"},
	    {WAIT_IO, "IO wait"},
	    {WAIT_MUTEX, "sync.Mutex.Lock"},
	    {WAIT_RWMUTEX_R, "sync.RWMutex.RLock"},
	    {WAIT_RWMUTEX_W, "sync.RWMutex.Lock"},
	    {WAIT_COND, "sync.Cond.Wait"},
	    {WAIT_WAITGROUP, "sync.WaitGroup.Wait"},
	    {WAIT_SEM, "semacquire"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		EXPECT_STR(wf_wait_reason_name(table[i].reason), table[i].name);
}

/* A dump may read a reason while it changes: any number must have some name. */
TEST(every_number_has_a_name)
{
	for (unsigned i = 0; i < 256; i++) {
		const char *name = wf_wait_reason_name((enum wf_wait_reason)i);

		EXPECT(name != NULL && name[0] != '\0');
		EXPECT(strpbrk(name, "],") == NULL);
	}
}
