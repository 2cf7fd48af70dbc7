/*
 * Threads that come to weft by a call. If one that has not waited yet counts as running since the
 * machine was started, who looks for what hangs is sent there.
 */
#include <weft.h>
#include "os/os.h"
#include "sched/go.h"
#include "sched/sched.h"

#include "elsewhere.h"
#include "test.h"

/* The goroutine that is the calling thread runs since then, or since it came. */
static void
runs_since(int64_t then)
{
	int64_t since;

	(void)wf_enter();
	since = wf_load_relaxed(&wf_g()->since);
	wf_leave();
	EXPECT(since >= then);
	EXPECT(since <= wf_os_now());
}

static void *
come(void *arg)
{
	runs_since(wf_os_now());
	return arg;
}

TEST(who_has_not_waited_runs_since_it_came)
{
	runs_since(wf_os_now());
	elsewhere(come, NULL);
}
