/*
 * Misuse of an object ends with a report whose first line is Go's, whose second says which object
 * it was and what to do instead, and which names the goroutine and the call. weft_try() gets Go's
 * words alone.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include "child.h"

/* Said on stdout, so that the test knows what the report must name. */
static void
say(const void *object)
{
	printf("%p\n", object);
	fflush(stdout);
}

static weft_mutex mutex;
static weft_rwmutex rwmutex;
static weft_waitgroup waitgroup;
static weft_cond cond, moved;
static weft_sem sem;
static weft_chan *channel;

static void
unlock_mutex(void *unused)
{
	(void)unused;
	say(&mutex);
	weft_mutex_unlock(&mutex);
}

static void
unlock_rwmutex(void *unused)
{
	(void)unused;
	say(&rwmutex);
	weft_rwmutex_rlock(&rwmutex);
	weft_rwmutex_unlock(&rwmutex);
}

static void
runlock_rwmutex(void *unused)
{
	(void)unused;
	say(&rwmutex);
	weft_rwmutex_runlock(&rwmutex);
}

static void
done_too_often(void *unused)
{
	(void)unused;
	say(&waitgroup);
	weft_waitgroup_done(&waitgroup);
}

static void
copy_cond(void *unused)
{
	(void)unused;
	weft_cond_signal(&cond);
	memcpy(&moved, &cond, sizeof(moved));
	say(&moved);
	weft_cond_broadcast(&moved);
}

static void
release_too_many(void *unused)
{
	(void)unused;
	weft_sem_init(&sem, 3);
	say(&sem);
	weft_sem_release(&sem, 2);
}

static void
acquire_less_than_none(void *unused)
{
	(void)unused;
	say(&sem);
	(void)weft_sem_acquire(&sem, -7, WEFT_FOREVER);
}

static void
close_twice(void *unused)
{
	(void)unused;
	channel = weft_chan_new(1, 1);
	say(channel);
	weft_chan_close(channel);
	weft_chan_close(channel);
}

static void
repeat_backwards(void *unused)
{
	(void)unused;
	say(NULL);
	(void)weft_timer_new(WEFT_FOREVER, -5, NULL, NULL);
}

static const struct misuse {
	void (*fn)(void *);
	bool is_fatal;
	const char *text;	/* Go's, where Go has it */
	const char *about;	/* what comes before the address of the object, if one does */
	const char *remedy;
	const char *call;
} misuses[] = {
    {unlock_mutex, true, "sync: unlock of unlocked mutex", "mutex ", "once for each lock",
	"weft_mutex_unlock"},
    {unlock_rwmutex, true, "sync: Unlock of unlocked RWMutex", "rwmutex ", "once for each lock",
	"weft_rwmutex_unlock"},
    {runlock_rwmutex, true, "sync: RUnlock of unlocked RWMutex", "rwmutex ", "once for each rlock",
	"weft_rwmutex_runlock"},
    {done_too_often, false, "sync: negative WaitGroup counter", "waitgroup ",
	"-1 was added to 0; add before the work begins", "weft_waitgroup_done"},
    {copy_cond, false, "sync.Cond is copied", "cond ", "do not copy or move it",
	"weft_cond_broadcast"},
    {release_too_many, false, "semaphore: released more than held", "sem ",
	"release 2 only where as many were acquired", "weft_sem_release"},
    {acquire_less_than_none, false, "semaphore: negative weight", "sem ",
	"n is -7, must be 0 or more", "weft_sem_acquire"},
    {close_twice, false, "close of closed channel", "channel ", "close it once",
	"weft_chan_close"},
    {repeat_backwards, false, "negative period for weft_timer_new", NULL,
	"period is -5 ns, must be 0 (once) or more", "weft_timer_new"},
};

#define N_MISUSES (sizeof(misuses) / sizeof(misuses[0]))

static void
expect_report(const struct misuse *m)
{
	struct child_result r = child_run(m->fn, NULL);
	char line[128];

	EXPECT_EQ(r.status, 2);
	snprintf(line, sizeof(line), "%s%s\n[", m->is_fatal ? "fatal error: " : "panic: ", m->text);
	EXPECT_CONTAINS(r.err, line);
	if (m->about != NULL) {
		snprintf(line, sizeof(line), "\n[%s%.*s", m->about, (int)strcspn(r.out, "\n"),
		    r.out);
		EXPECT_CONTAINS(r.err, line);
	}
	EXPECT_CONTAINS(r.err, m->remedy);
	snprintf(line, sizeof(line), "]\n\ngoroutine 1 [running]:\n%s(...)\n", m->call);
	EXPECT_CONTAINS(r.err, line);
	child_result_free(&r);
}

TEST(a_report_names_the_object_the_goroutine_and_the_remedy)
{
	for (size_t i = 0; i < N_MISUSES; i++)
		expect_report(&misuses[i]);
}

TEST(a_try_gets_the_first_line_alone)
{
	for (size_t i = 0; i < N_MISUSES; i++) {
		char msg[128] = "";

		if (misuses[i].is_fatal)
			continue;
		EXPECT_EQ(weft_try(misuses[i].fn, NULL, msg, sizeof(msg)), 1);
		EXPECT_STR(msg, misuses[i].text);
	}
	weft_chan_unref(channel);
}
