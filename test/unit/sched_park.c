/*
 * Parking (src/sched/README.md, "Waking"): who may end which wait.
 */
#include <weft.h>

#include "test.h"

#include <stdatomic.h>

static weft_mutex mutex;
static atomic_int state;

static int
sleep_then_lock(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_sleep(1000000), 0);	/* a wait that its scope may end */
	atomic_store(&state, 1);
	weft_mutex_lock(&mutex);		/* and one that it may not */
	EXPECT_EQ(atomic_load(&state), 2);
	weft_mutex_unlock(&mutex);
	return 0;
}

/*
 * Locks are not cancellable. A mutex that a goroutine waits for, after it waited for something that
 * is, is still not given to it because its scope was cancelled: two would be inside.
 */
TEST(a_lock_after_a_cancellable_wait_is_not_cancellable)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	weft_mutex_lock(&mutex);
	EXPECT_EQ(weft_scope_go(s, sleep_then_lock, NULL), 0);
	while (atomic_load(&state) != 1)
		weft_sleep(1000000);
	weft_sleep(10000000);			/* it waits for the mutex by now */
	weft_scope_cancel(s, -1);
	weft_sleep(10000000);
	atomic_store(&state, 2);
	weft_mutex_unlock(&mutex);
	EXPECT_EQ(weft_scope_wait(s, WEFT_FOREVER), 0);
	weft_scope_free(s);
}
