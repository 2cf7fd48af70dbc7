/*
 * The profile "leak" by reference: goroutines that nobody can wake, because nobody refers to what
 * they wait for, are told at once, and no others are. One told in error would have people look for
 * a bug that is not there.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "refuse.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Of those who are leaked several are made, and one must be told: what was left of an address in
 * some register or frame, mostly that of the last, counts as a reference.
 */
#define TIMES 4
#define HOUR ((int64_t)3600000000000)
#define MS ((int64_t)1000000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

struct node {
	weft_chan *chan;
};

static weft_chan *volatile global, *volatile for_ever[TIMES];
static _Thread_local weft_chan *of_thread;
static struct node *volatile node;
static weft_scope *volatile scope[TIMES];
static int turn;
static atomic_int n_there;	/* goroutines that wait in the end */
static char *profile;
static size_t profile_bytes;

/* ---- what they do; what makes them has ended, so that no stack but theirs knows ---- */

static void
go_named(const char *name, void (*fn)(void *), void *arg)
{
	weft_go_options o = { .size = sizeof(o), .name = name };

	EXPECT_EQ(weft_go_with(&o, fn, arg), 0);
	n_there++;		/* afterwards: run_to_its_end() tells a maker that is not done */
}

static void
receive(void *c)
{
	(void)weft_chan_recv(c, NULL, WEFT_FOREVER);
}

static void
send_nothing(void *c)
{
	(void)weft_chan_send(c, NULL, WEFT_FOREVER);
}

static void
receive_for_an_hour(void *c)
{
	(void)weft_chan_recv(c, NULL, weft_in(HOUR));
}

static void
select_both(void *c)
{
	weft_chan *other = weft_chan_new(0, 0);
	weft_case cases[] = { WEFT_RECV(c, NULL), WEFT_SEND(other, NULL) };

	(void)weft_select(cases, 2, WEFT_FOREVER);
	weft_chan_unref(other);
}

static void
select_nothing(void *arg)
{
	(void)weft_select(arg, 0, WEFT_FOREVER);
}

/* Waits for c, and has a reference to another channel meanwhile. */
static void
hold_another(void *arg)
{
	weft_chan *volatile both[2] = { ((weft_chan **)arg)[0], ((weft_chan **)arg)[1] };

	explicit_bzero(arg, 2 * sizeof(weft_chan *));
	free(arg);
	(void)weft_chan_recv(both[0], NULL, WEFT_FOREVER);
	weft_chan_close(both[1]);
}

static void
wait_for_group(void *arg)
{
	weft_waitgroup wg = { 0 };

	weft_waitgroup_add(&wg, 1);
	(void)arg;
	go_named("child", receive, weft_chan_new(0, 0));
	(void)weft_waitgroup_wait(&wg, WEFT_FOREVER);
}

static int
receive_in_scope(void *c)
{
	int r = weft_chan_recv(c, NULL, WEFT_FOREVER);

	return r < 0 ? r : 0;	/* no tail call: the profile shows this function */
}

static void
wait_for_scope(void *arg)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	(void)arg;
	EXPECT_EQ(weft_scope_go(s, receive_in_scope, NULL), 0);
	(void)weft_scope_wait(s, WEFT_FOREVER);
}

/* ---- asking ---- */

static void
run_to_its_end(void (*make)(void *))
{
	int n = weft_numgoroutine(), before = n_there;

	EXPECT_EQ(weft_go(make, NULL), 0);
	while (weft_numgoroutine() != n + n_there - before || n_there == before)
		weft_sleep(MS);
	while (weft_dump_blocked(-1, 0) < n_there)
		weft_sleep(MS);
}

/* Who is leaked. */
static void
make_several(void (*make)(void *))
{
	for (turn = 0; turn < TIMES; turn++)
		run_to_its_end(make);
}

/* Only by reference: nobody has waited for so long. */
static void
ask(void)
{
	int fd = memfd_create("leak", MFD_CLOEXEC);

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_profile_leak(fd, INT64_MAX), 0);
	free(profile);
	profile_bytes = (size_t)lseek(fd, 0, SEEK_END);
	profile = malloc(profile_bytes);
	EXPECT_EQ(pread(fd, profile, profile_bytes, 0), (ssize_t)profile_bytes);
	close(fd);
}

static bool
is_told(const char *name)
{
	return memmem(profile, profile_bytes, name, strlen(name)) != NULL;
}

static void
expect_leaked(const char *name)
{
#ifndef SANITIZED
	if (!is_told(name))
		FAIL("\"%s\" is leaked, and not told", name);
#else
	(void)name;	/* there nobody is told by reference */
#endif
}

static void
expect_alive(const char *name)
{
	if (is_told(name))
		FAIL("\"%s\" is called leaked", name);
}

/* ---- nothing to wait for ---- */

/*
 * Before all others: the stack of a goroutine that lives may have been that of who made the leaked,
 * and what is left of that there counts.
 */
static void
make_hours(void *arg)
{
	(void)arg;
	go_named("nil, an hour", receive_for_an_hour, NULL);
	go_named("dropped, an hour", receive_for_an_hour, weft_chan_new(0, 0));
}

static void
make_nil(void *arg)
{
	(void)arg;
	go_named("nil receive", receive, NULL);
	go_named("nil send", send_nothing, NULL);
	go_named("empty select", select_nothing, NULL);
	scope[turn] = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT_EQ(weft_scope_go(scope[turn], receive_in_scope, NULL), 0);
	n_there++;
}

TEST(who_waits_for_nil_is_told_but_not_who_has_a_deadline_or_can_be_cancelled)
{
	run_to_its_end(make_hours);
	make_several(make_nil);
	for (int i = 0; i < 3; i++) {
		ask();
		expect_leaked("nil receive");
		expect_leaked("nil send");
		expect_leaked("empty select");
		expect_alive("nil, an hour");
		expect_alive("receive_in_scope");
#ifndef SANITIZED
		EXPECT(!is_told("incomplete"));
#endif
	}
	for (int i = 0; i < TIMES; i++)
		scope[i] = NULL;
	ask();
	expect_leaked("receive_in_scope");
}

static void
sleep_often(void)
{
	for (int i = 0; i < 300; i++)
		EXPECT_EQ(weft_sleep(1), 0);
}

/* A heap that only one processor uses is kept by it: who looks takes it as others do. */
TEST(who_waits_is_told_beside_timers_that_a_processor_keeps)
{
	weft_gomaxprocs(1);
	sleep_often();
	run_to_its_end(make_hours);
	make_several(make_nil);
	for (int i = 0; i < 3; i++) {
		ask();
		expect_leaked("nil receive");
		sleep_often();
	}
}

/* ---- channels ---- */

static void
make_dropped(void *arg)
{
	(void)arg;
	go_named("dropped receive", receive, weft_chan_new(8, 0));
	go_named("dropped send", send_nothing, weft_chan_new(0, 0));
	go_named("dropped select", select_both, weft_chan_new(0, 0));
}

TEST(who_waits_for_a_channel_that_was_dropped_is_told)
{
	run_to_its_end(make_hours);
	make_several(make_dropped);
	ask();
	expect_leaked("dropped receive");
	expect_leaked("dropped send");
	expect_leaked("dropped select");
	expect_alive("dropped, an hour");
}

static void
make_held(void *arg)
{
	weft_chan **both = malloc(2 * sizeof(*both)), *element = weft_chan_new(0, 0);
	weft_timer *timer = weft_timer_new(weft_in(HOUR), 0, NULL, NULL);

	(void)arg;
	global = weft_chan_new(sizeof(element), 1);
	EXPECT_EQ(weft_chan_send(global, &element, WEFT_FOREVER), 0);
	go_named("element", receive, element);
	node = malloc(sizeof(*node));
	node->chan = weft_chan_new(0, 0);
	go_named("heap", receive, node->chan);
	both[0] = for_ever[0] = weft_chan_new(0, 0);
	go_named("global", select_both, for_ever[0]);
	both[1] = weft_chan_new(0, 0);
	go_named("stack", receive, both[1]);
	go_named("holder", hold_another, both);
	go_named("timer", receive, weft_timer_chan(timer));
}

static sem_t thread_knows, thread_may_end;

static void *
hold_in_thread(void *arg)
{
	weft_chan *volatile here = weft_chan_new(0, 0);

	(void)arg;
	of_thread = weft_chan_new(0, 0);
	go_named("thread's stack", receive, here);
	go_named("thread-local", receive, of_thread);
	sem_post(&thread_knows);
	while (sem_wait(&thread_may_end) != 0)
		continue;
	weft_chan_close(here);
	weft_chan_close(of_thread);
	return NULL;
}

TEST(who_waits_for_what_somebody_refers_to_is_not_told)
{
	pthread_t t;

	sem_init(&thread_knows, 0, 0);
	sem_init(&thread_may_end, 0, 0);
	run_to_its_end(make_held);
	pthread_create(&t, NULL, hold_in_thread, NULL);
	while (sem_wait(&thread_knows) != 0)
		continue;
	while (weft_dump_blocked(-1, 0) < n_there)
		weft_sleep(MS);
	for (int i = 0; i < 3; i++) {
		ask();
		expect_alive("global");
		expect_alive("element");
		expect_alive("heap");
		expect_alive("stack");
		expect_alive("holder");
		expect_alive("timer");
		expect_alive("thread's stack");
		expect_alive("thread-local");
	}
	sem_post(&thread_may_end);
	pthread_join(t, NULL);
}

/* ---- one by the other ---- */

static void
make_chain(void *arg)
{
	weft_chan **last = malloc(2 * sizeof(*last)), **middle = malloc(2 * sizeof(*middle));

	(void)arg;
	last[0] = weft_chan_new(0, 0);
	last[1] = weft_chan_new(0, 0);
	middle[0] = last[1];
	middle[1] = weft_chan_new(0, 0);
	for_ever[turn] = last[0];
	go_named("tail of chain", receive, middle[1]);
	go_named("middle of chain", hold_another, middle);
	go_named("head of chain", hold_another, last);
}

TEST(who_is_referred_to_by_the_leaked_only_is_leaked_too)
{
	make_several(make_chain);
	ask();
	expect_alive("head of chain");
	expect_alive("middle of chain");
	expect_alive("tail of chain");
	for (int i = 0; i < TIMES; i++)
		for_ever[i] = NULL;
	ask();
	expect_leaked("head of chain");
	expect_leaked("middle of chain");
	expect_leaked("tail of chain");
}

static void
make_parents(void *arg)
{
	(void)arg;
	for (int i = 0; i < TIMES; i++) {
		go_named("parent", wait_for_group, NULL);
		go_named("opener", wait_for_scope, NULL);
	}
}

/* What they wait for lies on a stack that is leaked, or is held by the leaked. */
TEST(who_waits_for_the_leaked_is_leaked)
{
	int n = weft_numgoroutine();

	EXPECT_EQ(weft_go(make_parents, NULL), 0);
	while (weft_numgoroutine() != n + 4 * TIMES || weft_dump_blocked(-1, 0) < 4 * TIMES)
		weft_sleep(MS);
	ask();
	expect_leaked("child");
	expect_leaked("parent");
	expect_leaked("opener");
	expect_leaked("receive_in_scope");
}

static void
run_child(void (*fn)(void *))
{
	struct child_options o = { .limit_ms = 120000 };
	struct child_result r = child_run_with(&o, fn, NULL);

	if (r.status != 0)
		FAIL("status %d: %s", r.status, r.err);
	child_result_free(&r);
}

/* ---- a stack without limit ---- */

static void
make_in_mapping(void *arg)
{
	struct node *n = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);

	(void)arg;
	EXPECT(n != MAP_FAILED);
	n->chan = weft_chan_new(0, 0);
	go_named("mapping", receive, n->chan);
}

static void *
ask_elsewhere(void *arg)
{
	ask();
	return arg;
}

/* The main goroutine asks, and then runs, for all that weft knows, while another thread asks. */
static void
hold_in_mappings(void *arg)
{
	pthread_t t;

	(void)arg;
	make_several(make_in_mapping);
	ask();
	expect_alive("mapping");
	EXPECT_EQ(pthread_create(&t, NULL, ask_elsewhere, NULL), 0);
	EXPECT_EQ(pthread_join(t, NULL), 0);
	expect_alive("mapping");
}

/* The system then says that the stack reaches down to the mappings, and puts new ones in there. */
TEST(who_waits_is_not_told_beside_a_stack_without_limit)
{
#ifndef SANITIZED	/* they have shadows where mappings would come to lie */
	struct rlimit l;

	EXPECT_EQ(getrlimit(RLIMIT_STACK, &l), 0);
	l.rlim_cur = l.rlim_max;
	EXPECT_EQ(setrlimit(RLIMIT_STACK, &l), 0);
#endif
	run_child(hold_in_mappings);
}

/* ---- memory that can't be asked for ---- */

static void
make_cancellable(void *arg)
{
	(void)arg;
	scope[turn] = weft_scope_new(NULL, WEFT_FOREVER);
	EXPECT_EQ(weft_scope_go(scope[turn], receive_in_scope, NULL), 0);
	n_there++;
}

/* Neither by the call for it, nor by way of a pipe. */
static void
ask_without_descriptors(void *arg)
{
	(void)arg;
	make_several(make_cancellable);
	refuse(SYS_process_vm_readv, EPERM, /* all threads */ true);
	refuse(SYS_pipe2, EMFILE, /* all threads */ true);
	ask();
	expect_alive("receive_in_scope");
	EXPECT(is_told("incomplete: memory could not be searched"));
}

TEST(nobody_is_told_by_what_could_not_be_read)
{
	need_filters();
	run_child(ask_without_descriptors);
}

/* ---- no time ---- */

/* The three looks are a millisecond apart, so they never take less than two. */
static void
ask_in_no_time(void *arg)
{
	(void)arg;
	make_several(make_nil);
	ask();
	expect_alive("nil receive");
	expect_alive("nil send");
	expect_alive("empty select");
#ifndef SANITIZED
	EXPECT(is_told("incomplete: the search for references took longer"));
#endif
}

/* A profile that is not whole says so, and calls nobody leaked in error. */
TEST(nobody_is_told_by_a_search_that_was_given_up)
{
	static const char *const limits[][2]
	    = { { "WEFT_DEBUG=leaksearch=0", NULL }, { "WEFT_DEBUG=leaksearch=1", NULL } };

	for (int i = 0; i < 2; i++) {
		struct child_options o = { .limit_ms = 120000, .env = limits[i] };
		struct child_result r = child_run_with(&o, ask_in_no_time, NULL);

		if (r.status != 0)
			FAIL("status %d: %s", r.status, r.err);
		child_result_free(&r);
	}
}
