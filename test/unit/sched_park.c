/*
 * Parking (src/sched/README.md, "Waking"): who may end which wait. And what a goroutine that ends
 * leaves on its thread.
 */
#include <weft.h>
#include "os/os.h"
#include "sched/go.h"
#include "sched/park.h"
#include "sched/sched.h"

#include "test.h"

#include <errno.h>

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

static struct wf_os_exceptions caught, *of_thread;
static struct m *left;		/* where the goroutine has ended */
static bool has_looked;

/* As weft_goexit() in a catch block, without a C++ library. */
static void
end_in_a_catch_block(void *arg)
{
	(void)arg;
	left = wf_enter();
	of_thread = left->exceptions;
	caught.caught = &caught;
	left->exceptions = &caught;
	wf_g_exit(wf_g());
}

/* On the stack of the thread, where the goroutine went when it ended. */
static void
look(void *arg)
{
	(void)arg;
	if (wf_self() != left)
		return;
	EXPECT(caught.caught == NULL);
	left->exceptions = of_thread;
	has_looked = true;
}

/* Without leaving the runtime, so that nobody takes our P away: all is on one thread. */
TEST(a_goroutine_that_exits_in_a_catch_block_leaves_its_thread_none)
{
	struct wf_go_args args = {.fn = end_in_a_catch_block};

	weft_gomaxprocs(1);
	(void)wf_enter();
	EXPECT_EQ(wf_go(&args), 0);
	while (left == NULL)
		wf_yield();
	EXPECT_EQ(wf_park(look, NULL, WAIT_SLEEP, wf_os_now() + 1, /* cancellable */ false),
	    -ETIMEDOUT);
	wf_leave();
	EXPECT(has_looked);
}
