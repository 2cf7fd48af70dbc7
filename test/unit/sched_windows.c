/*
 * The windows of src/sched/README.md that its other tests do not open: a thread is stopped between
 * two steps of a protocol, and what races with it is done just then. Where the monitor would mend a
 * lost wake within milliseconds it is stopped too: the protocols must do without it.
 *
 * ctest: timeout=120
 */
#include <weft.h>
#include "sched/sched.h"

#include "hold.h"
#include "test.h"
#include "window.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S (1000 * MS)

static atomic_int ran, result;
static atomic_bool stop, stop_first;

static void
await_idle_ps(uint32_t n)
{
	for (int i = 0; wf_load_seqcst(&wf_sched.n_idle_p) != n; i++) {
		if (i > 30000 * test_scale())
			FAIL("%u Ps are idle, not %u", wf_load_seqcst(&wf_sched.n_idle_p), n);
		pause_ms(1);
	}
}

struct script {
	void (*fn)(const char *point);
	const char *point;
	uint32_t procs;
	weft_chan *done;
};

static void *
play(void *arg)
{
	const struct script *s = arg;

	/* Main has gone to wait, and does not come by any point any more. */
	await_idle_ps(s->procs);
	s->fn(s->point);
	weft_chan_close(s->done);
	return NULL;
}

static void
block_and_count(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg);
	atomic_fetch_add(&ran, 1);
}

/* Keeps its thread until the other end is closed. */
static void
block_on(void *fd)
{
	char byte;

	atomic_fetch_add(&ran, 1);
	EXPECT_EQ(read(*(int *)fd, &byte, 1), 0);
	atomic_fetch_add(&ran, 1);
}

static bool
is_idle(int tid)
{
	bool is_there = false;

	(void)wf_enter();
	wf_lock(&wf_sched.lock);
	for (struct m *m = wf_sched.idle_m; m != NULL; m = m->idle_next)
		is_there = is_there || wf_load_relaxed(&m->tid) == tid;
	wf_unlock(&wf_sched.lock);
	wf_leave();
	return is_there;
}

/*
 * Leaves a few threads idle: the monitor, which starts threads for those that weft does not know,
 * may be held.
 */
static void
make_threads(void)
{
	atomic_store(&ran, 0);
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(weft_go(block_and_count, (void *)(uintptr_t)10000), 0);
	while (atomic_load(&ran) < 6)
		weft_sleep(MS);
}

/* Plays fn on a plain thread, beside a program that has procs Ps and nothing to do. */
static void
from_outside(int procs, void (*fn)(const char *point), const char *point)
{
	struct script s = { fn, point, (uint32_t)procs, weft_chan_new(0, 0) };
	pthread_t t;

	weft_gomaxprocs(procs);
	make_threads();
	atomic_store(&ran, 0);
	atomic_store(&result, 0);
	atomic_store(&stop, false);
	atomic_store(&stop_first, false);
	pthread_create(&t, NULL, play, &s);
	EXPECT_EQ(weft_chan_recv(s.done, NULL, WEFT_FOREVER), 0);
	pthread_join(t, NULL);
	weft_chan_unref(s.done);
}

/* ---- Waking: W3, W6 ---- */

static weft_chan *c;

static int
receive(void *arg)
{
	int r = weft_chan_recv(c, NULL, weft_in(*(int64_t *)arg));

	atomic_store(&result, r == 1 ? 1000 : -r);
	atomic_fetch_add(&ran, 1);
	return 0;
}

/* A goroutine waits with a deadline and in a scope, and its thread is held in the commit. */
static void
wait_held_at(const char *point, int64_t ns, weft_scope **ret_scope)
{
	static int64_t deadline;

	deadline = ns;
	c = weft_chan_new(0, 0);
	*ret_scope = weft_scope_new(NULL, WEFT_FOREVER);
	hold_at(point);
	EXPECT_EQ(weft_scope_go(*ret_scope, receive, &deadline), 0);
	hold_await(point);
}

static void
go_on(const char *point, weft_scope *s, int want)
{
	/* It does not return while its frame is in use. */
	pause_ms(20);
	EXPECT_EQ(atomic_load(&ran), 0);
	hold_release(point);
	await_at_least(&ran, 1);
	EXPECT_EQ(atomic_load(&result), want);
	weft_scope_free(s);
	weft_chan_unref(c);
}

/* Its ticket is out: a value may come before its timer is armed, and before it may go on. */
static void
send_to_one_in_its_commit(const char *point)
{
	weft_scope *s;

	wait_held_at(point, 60 * S, &s);
	EXPECT_EQ(weft_chan_send(c, NULL, WEFT_FOREVER), 0);
	hold_await_nap();
	go_on(point, s, 1000);
}

TEST(a_value_comes_before_the_timer_is_armed)
{
	from_outside(2, send_to_one_in_its_commit, "park.published");
}

TEST(a_value_comes_before_the_commit_is_over)
{
	from_outside(2, send_to_one_in_its_commit, "park.armed");
}

/* The deadline passes while the commit that armed its timer is still under way. */
static void
let_the_deadline_pass(const char *point)
{
	weft_scope *s;

	wait_held_at(point, 5 * MS, &s);
	/* The timer is in the held P's heap: any thief may fire it. */
	pause_ms(30);
	go_on(point, s, ETIMEDOUT);
}

TEST(a_deadline_passes_before_the_commit_is_over)
{
	from_outside(2, let_the_deadline_pass, "park.armed");
}

/* Before the ticket is out the canceller finds nobody to wake: the commit sees the mark (W6). */
static void
cancel_one_in_its_commit(const char *point)
{
	weft_scope *s;

	wait_held_at(point, 60 * S, &s);
	weft_scope_cancel(s, -ECANCELED);
	go_on(point, s, ECANCELED);
}

TEST(a_cancellation_comes_before_the_ticket_is_out)
{
	from_outside(2, cancel_one_in_its_commit, "park.left");
}

TEST(a_cancellation_comes_after_the_ticket_is_out)
{
	from_outside(2, cancel_one_in_its_commit, "park.published");
}

TEST(a_cancellation_comes_after_the_timer_is_armed)
{
	from_outside(2, cancel_one_in_its_commit, "park.armed");
}

/* ---- Going idle: R1-R3, S1-S4 at a hand-off, sleepers that end ---- */

static void
run_until_told(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ran, 1);
	while (!atomic_load(&stop))
		;
	atomic_fetch_add(&ran, 1);
}

/*
 * A spinner has found work and still counts as one who looks: what comes now wakes nobody. R3 must.
 * The first goroutine computes until the second has run.
 */
static void
bring_work_to_one_who_has_found(const char *point)
{
	(void)point;
	hold_at("spin.found");
	EXPECT_EQ(weft_go(run_until_told, NULL), 0);
	hold_await("spin.found");
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_at("monitor.round");
	hold_release("spin.found");
	await_at_least(&ran, 2);
	hold_release("monitor.round");
	atomic_store(&stop, true);
	await_at_least(&ran, 3);
}

TEST(who_has_found_work_wakes_the_next_to_look)
{
	for (int i = 0; i < 5; i++)
		from_outside(3, bring_work_to_one_who_has_found, NULL);
}

/*
 * A thread whose locked goroutine has parked hands its P on. It has seen no work; before it puts
 * the P on the list, work comes that finds no P idle.
 */
static weft_chan *wake_locked;

static void
lock_and_park(void *arg)
{
	(void)arg;
	weft_lock_thread();
	atomic_fetch_add(&ran, 1);
	EXPECT_EQ(weft_chan_recv(wake_locked, NULL, WEFT_FOREVER), 1);
	weft_unlock_thread();
	atomic_fetch_add(&ran, 1);
}

static void
bring_work_to_one_who_hands_over(const char *point)
{
	(void)point;
	hold_at("handoff.looked");
	EXPECT_EQ(weft_go(lock_and_park, NULL), 0);
	hold_await("handoff.looked");
	hold_at("monitor.round");
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_release("handoff.looked");
	await_at_least(&ran, 3);
	hold_release("monitor.round");
	EXPECT_EQ(weft_chan_send(wake_locked, NULL, WEFT_FOREVER), 0);
	await_at_least(&ran, 4);
}

TEST(work_that_comes_while_a_p_is_handed_over_is_found)
{
	wake_locked = weft_chan_new(0, 0);
	for (int procs = 2; procs <= 3; procs++)
		for (int i = 0; i < 5; i++)
			from_outside(procs, bring_work_to_one_who_hands_over, NULL);
	weft_chan_unref(wake_locked);
}

/* Its goroutine is readied, and picked by another, before the locked thread has gone to sleep. */
static void
wake_one_before_it_sleeps(const char *point)
{
	(void)point;
	hold_at("locked.handed_off");
	EXPECT_EQ(weft_go(lock_and_park, NULL), 0);
	hold_await("locked.handed_off");
	EXPECT_EQ(weft_chan_send(wake_locked, NULL, WEFT_FOREVER), 0);
	/* Others get on: the thread that has it gave its P to the one that is held. */
	pause_ms(20);
	EXPECT_EQ(atomic_load(&ran), 1);
	hold_release("locked.handed_off");
	await_at_least(&ran, 2);
}

TEST(a_locked_goroutine_is_woken_before_its_thread_sleeps)
{
	wake_locked = weft_chan_new(0, 0);
	for (int i = 0; i < 5; i++)
		from_outside(2, wake_one_before_it_sleeps, NULL);
	weft_chan_unref(wake_locked);
}

/* A thread has been idle for so long that it is to end; just then it is taken off the list. */
static void
wake_one_that_is_to_end(const char *point)
{
	enum { CROWD = 8, BEFORE = 2 * CROWD };
	int crowd[2], fd[2], n = BEFORE, tid;

	(void)point;
	EXPECT_EQ(pipe(crowd), 0);
	EXPECT_EQ(pipe(fd), 0);
	hold_at("idle.overslept");
	/* All at a time: so many threads, more than stay. */
	for (int i = 0; i < CROWD; i++)
		EXPECT_EQ(weft_go(block_on, &crowd[0]), 0);
	await_at_least(&ran, CROWD);
	close(crowd[1]);
	await_at_least(&ran, BEFORE);
	close(crowd[0]);
	hold_await("idle.overslept");
	tid = hold_tid("idle.overslept");
	EXPECT(is_idle(tid));
	/* Each keeps a thread: sooner or later it is this one's turn, maybe to spin. */
	while (is_idle(tid)) {
		if (n++ > 200)
			FAIL("it was never taken");
		EXPECT_EQ(weft_go(block_on, &fd[0]), 0);
		while (is_idle(tid) && atomic_load(&ran) < n)
			pause_ms(1);
	}
	hold_release("idle.overslept");
	await_at_least(&ran, n);
	close(fd[1]);
	await_at_least(&ran, n + n - BEFORE);
	close(fd[0]);
	await_idle_ps(2);
}

TEST(a_thread_that_is_to_end_is_taken_at_the_last_moment)
{
	from_outside(2, wake_one_that_is_to_end, NULL);
}

/* ---- Ps that retire ---- */

static void
take_ps_away(void *arg)
{
	(void)arg;
	(void)weft_gomaxprocs(1);
	atomic_fetch_add(&ran, 1);
}

static void
want_the_p_again(const char *point)
{
	(void)point;
	hold_at("procs.retiring");
	EXPECT_EQ(weft_go(take_ps_away, NULL), 0);
	hold_await("procs.retiring");
	EXPECT_EQ(weft_gomaxprocs(4), 1);
	hold_release("procs.retiring");
	await_at_least(&ran, 1);
	await_idle_ps(4);
}

TEST(a_p_that_retires_is_wanted_again)
{
	for (int i = 0; i < 5; i++)
		from_outside(4, want_the_p_again, NULL);
}

/* ---- Detach: D2, D6; the monitor that sleeps deeply ---- */

static void
compute_then_call(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_first))
		;
	for (int i = 0; i < 10; i++)
		EXPECT(weft_goid() > 1);
	atomic_fetch_add(&ran, 1);
}

/* It has stepped back out, and the monitor takes the P it came for. */
static void
take_the_p_of_one_who_stepped_back(const char *point)
{
	(void)point;
	hold_at("detach.announced");
	EXPECT_EQ(weft_go(compute_then_call, NULL), 0);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_await("detach.announced");
	hold_at("enter.stepped_back");
	atomic_store(&stop_first, true);
	hold_await("enter.stepped_back");
	hold_release("detach.announced");
	/* The P is gone, and another goroutine has run with it. */
	await_at_least(&ran, 1);
	hold_release("enter.stepped_back");
	await_at_least(&ran, 2);
}

TEST(the_p_of_one_who_stepped_back_is_taken)
{
	for (int i = 0; i < 5; i++)
		from_outside(1, take_the_p_of_one_who_stepped_back, NULL);
}

/* It has lost its P and found none idle; before it queues up, the last busy one goes idle. */
static void
let_ps_go_idle_before_it_queues(const char *point)
{
	(void)point;
	hold_at("enter.no_p");
	EXPECT_EQ(weft_go(compute_then_call, NULL), 0);
	EXPECT_EQ(weft_go(run_until_told, NULL), 0);
	/* It computes on the only P: the first has lost it. */
	await_at_least(&ran, 1);
	atomic_store(&stop_first, true);
	hold_await("enter.no_p");
	atomic_store(&stop, true);
	await_at_least(&ran, 2);
	await_idle_ps(1);
	hold_at("monitor.round");
	hold_release("enter.no_p");
	await_at_least(&ran, 3);
	hold_release("monitor.round");
}

TEST(a_p_goes_idle_before_one_without_queues_up)
{
	for (int i = 0; i < 5; i++)
		from_outside(1, let_ps_go_idle_before_it_queues, NULL);
}

/* The monitor has decided to sleep until somebody runs: who runs then must be seen to. */
static void
start_blocking_when_the_monitor_goes_to_sleep(const char *point)
{
	/* Without it the monitor would look now and then whether the program is dead. */
	weft_timer *far = weft_timer_new(weft_in(600 * S), 0, count_one, &ran);
	int fd[2];

	(void)point;
	EXPECT_EQ(pipe(fd), 0);
	hold_at("monitor.deep");
	hold_await("monitor.deep");
	/* It has the only P, and comes back when the one behind it has run. */
	EXPECT_EQ(weft_go(block_on, &fd[0]), 0);
	await_at_least(&ran, 1);
	EXPECT_EQ(weft_go(count_one, &ran), 0);
	hold_release("monitor.deep");
	await_at_least(&ran, 2);
	close(fd[1]);
	await_at_least(&ran, 3);
	close(fd[0]);
	weft_timer_free(far);
}

TEST(who_runs_when_the_monitor_goes_to_sleep_wakes_it)
{
	from_outside(1, start_blocking_when_the_monitor_goes_to_sleep, NULL);
}
