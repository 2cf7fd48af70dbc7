/*
 * The monitor's sleep (src/sched/README.md, "Rest"). When all is idle it sleeps without an end: if
 * one who must wake it does not, a call that blocks keeps its P for as long as nobody else tries.
 */
#include <weft.h>
#include "os/os.h"
#include "sched/sched.h"

#include "hold.h"
#include "test.h"
#include "window.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define S ((int64_t)1000000000)

/* The kernel's number of the monitor; 0: it has not begun. */
static int
monitor_tid(void)
{
	for (struct m *m = wf_load_acquire(&wf_sched.all_m); m != NULL; m = m->all_next) {
		int tid = wf_load_relaxed(&m->tid);
		char path[64], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
		if (tid == 0 || (f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';		/* it has just ended */
		fclose(f);
		if (strcmp(name, "weft-monitor\n") == 0)
			return tid;
	}
	return 0;
}

/* Until it sleeps, and nobody will wake it by and by. */
static void
await_deep_sleep(void)
{
	int tid;

	while ((tid = monitor_tid()) == 0)
		pause_ms(1);
	while (wf_load_seqcst(&wf_sched.monitor_is_deep) == 0 ||
	    wf_load_seqcst(&wf_sched.monitor_note) != 0 || wf_os_thread_state(tid) != 'S')
		pause_ms(1);
}

static void *
wake(void *arg)
{
	wf_monitor_wake();
	return arg;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* On a plain thread, while main waits. */
static void *
wake_beside_one_who_stands(void *done)
{
	pthread_t first;

	await_deep_sleep();
	hold_at("monitor.told");
	EXPECT_EQ(pthread_create(&first, NULL, wake, NULL), 0);
	hold_await("monitor.told");
	hold_at("monitor.round");
	(void)wake(NULL);
	hold_await("monitor.round");
	hold_release("monitor.round");
	hold_release("monitor.told");
	EXPECT_EQ(pthread_join(first, NULL), 0);
	weft_chan_close(done);
	return NULL;
}

/* The first stands between the note and its call; the second found the note set, and left. */
TEST(a_waker_that_was_stopped_mutes_nobody)
{
	/* Without it the monitor would look now and then whether the program is dead. */
	weft_timer *far = weft_timer_new(weft_in(600 * S), 0, nothing, NULL);
	weft_chan *done = weft_chan_new(0, 0);
	pthread_t t;

	hold_needed();
	weft_gomaxprocs(1);
	EXPECT_EQ(pthread_create(&t, NULL, wake_beside_one_who_stands, done), 0);
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_FOREVER), 0);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	weft_chan_unref(done);
	weft_timer_free(far);
}
