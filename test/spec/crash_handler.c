/*
 * Waits in a signal handler. On the alternate stack they are caught, and the process ends and says
 * what to do instead; let through, the next handler on that stack would overwrite the frames of one
 * that waits.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "child.h"
#include "test.h"

static weft_chan *empty;
static weft_mutex locked;
static weft_waitgroup busy;
static weft_event never;
static weft_sem none;
static int pipe_fds[2];

enum { RECV, SELECT, SLEEP, MUTEX, WAITGROUP, EVENT, SEM, READ, WAITS };

static const char *const names[WAITS] = { "chan receive", "select", "sleep", "sync.Mutex.Lock",
	"sync.WaitGroup.Wait", "event wait", "semacquire", "IO wait" };

static volatile sig_atomic_t which;

static void
wait_in_handler(int sig)
{
	weft_case cases[] = { WEFT_RECV(empty, NULL), WEFT_WAIT(&never) };
	char c;

	(void)sig;
	switch (which) {
	case RECV:
		weft_chan_recv(empty, NULL, WEFT_FOREVER);
		break;
	case SELECT:
		weft_select(cases, 2, WEFT_FOREVER);
		break;
	case SLEEP:
		weft_sleep(1000000000);
		break;
	case MUTEX:
		weft_mutex_lock(&locked);
		break;
	case WAITGROUP:
		weft_waitgroup_wait(&busy, WEFT_FOREVER);
		break;
	case EVENT:
		weft_event_wait(&never, weft_in(1000000000));
		break;
	case SEM:
		(void)weft_sem_acquire(&none, 1, WEFT_FOREVER);
		break;
	default:
		(void)weft_read(pipe_fds[0], &c, 1, WEFT_FOREVER);
	}
	_exit(0);	/* it waited, or worse */
}

static void
raise_here(void *unused)
{
	(void)unused;
	raise(SIGUSR1);
}

static void
handle(void *wait)
{
	struct sigaction sa = { .sa_handler = wait_in_handler, .sa_flags = SA_ONSTACK };
	weft_waitgroup all = { 0 };

	which = (int)(intptr_t)wait % WAITS;
	empty = weft_chan_new(0, 0);
	weft_mutex_lock(&locked);
	weft_waitgroup_add(&busy, 1);
	weft_sem_init(&none, 1);
	EXPECT(weft_sem_tryacquire(&none, 1));
	EXPECT_EQ(pipe(pipe_fds), 0);
	EXPECT_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	EXPECT_EQ(weft_waitgroup_go(&all, raise_here, NULL), 0);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
}

TEST(a_wait_in_a_handler_says_so_and_ends)
{
	if (TEST_HAS_TSAN)
		SKIP("ThreadSanitizer calls handlers later, and on the stack at hand");
	for (int i = 0; i < WAITS; i++) {
		/* AddressSanitizer would give the threads signal stacks of its own. */
		static const char *const env[] = {
		    "ASAN_OPTIONS=use_sigaltstack=0:detect_leaks=0", NULL};
		struct child_options o = {.env = env};
		struct child_result r = child_run_with(&o, handle, (void *)(intptr_t)i);

		EXPECT_CONTAINS(r.err, "fatal error: wait in a signal handler (");
		EXPECT_CONTAINS(r.err, names[i]);
		EXPECT_CONTAINS(r.err, "let the handler set a flag");
		EXPECT_CONTAINS(r.err, "goroutine ");
		EXPECT_EQ(r.status, 2);
		child_result_free(&r);
	}
}
