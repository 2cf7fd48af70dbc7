/*
 * Labels say what a goroutine works for. If this fails, a dump or a profile charges one request
 * with what another one did.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "child.h"
#include "elsewhere.h"
#include "test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
expect_label(const char *key, const char *value)
{
	const char *is = weft_label(key);

	if (value == NULL ? is != NULL : is == NULL || strcmp(is, value) != 0)
		FAIL("label %s is %s, not %s", key, is == NULL ? "none" : is,
		    value == NULL ? "none" : value);
}

TEST(a_label_stays_until_it_is_replaced_or_taken_away)
{
	expect_label("request", NULL);
	EXPECT_EQ(weft_label_set("request", NULL), 0);
	EXPECT_EQ(weft_label_set("request", "17"), 0);
	EXPECT_EQ(weft_label_set("tenant", "blue"), 0);
	EXPECT_EQ(weft_label_set("a", ""), 0);
	expect_label("request", "17");
	EXPECT_EQ(weft_label_set("request", "18"), 0);
	expect_label("request", "18");
	expect_label("tenant", "blue");
	expect_label("a", "");
	EXPECT_EQ(weft_label_set("request", NULL), 0);
	expect_label("request", NULL);
	expect_label("tenant", "blue");
	EXPECT_EQ(weft_label_set("tenant", NULL), 0);
	EXPECT_EQ(weft_label_set("a", NULL), 0);
	expect_label("a", NULL);
	EXPECT(weft_label(NULL) == NULL);
}

TEST(what_can_be_no_label_changes_nothing)
{
	char key[WEFT_LABEL_KEY_BYTES + 2], value[WEFT_LABEL_VALUE_BYTES + 2];

	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	key[sizeof(key) - 1] = value[sizeof(value) - 1] = '\0';
	EXPECT_EQ(weft_label_set("request", "17"), 0);
	EXPECT_EQ(weft_label_set(NULL, "x"), -EINVAL);
	EXPECT_EQ(weft_label_set("", "x"), -EINVAL);
	EXPECT_EQ(weft_label_set("two\nlines", "x"), -EINVAL);
	EXPECT_EQ(weft_label_set("request", "\x1b[2J"), -EINVAL);
	EXPECT_EQ(weft_label_set("request", "\x7f"), -EINVAL);
	EXPECT_EQ(weft_label_set(key, "x"), -EINVAL);
	EXPECT_EQ(weft_label_set("request", value), -EINVAL);
	expect_label("request", "17");
	key[sizeof(key) - 2] = value[sizeof(value) - 2] = '\0';
	EXPECT_EQ(weft_label_set(key, value), 0);
	expect_label(key, value);
}

TEST(there_are_as_many_as_the_header_says_and_they_all_stay)
{
	char key[16], value[WEFT_LABEL_VALUE_BYTES + 1];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	/* From the last to the first: their order is not that of their coming. */
	for (int i = WEFT_LABELS_MAX - 1; i >= 0; i--) {
		snprintf(key, sizeof(key), "key %02d", i);
		EXPECT_EQ(weft_label_set(key, value), 0);
	}
	EXPECT_EQ(weft_label_set("one more", "x"), -EINVAL);
	EXPECT_EQ(weft_label_set("key 03", "another"), 0);
	for (int i = 0; i < WEFT_LABELS_MAX; i++) {
		snprintf(key, sizeof(key), "key %02d", i);
		expect_label(key, i == 3 ? "another" : value);
		EXPECT_EQ(weft_label_set(key, NULL), 0);
		expect_label(key, NULL);
	}
	expect_label("one more", NULL);
}

/* ---- who inherits ---- */

struct heir {
	weft_chan *go;
	weft_waitgroup wg;
};

static void
inherits(void *arg)
{
	struct heir *h = arg;

	EXPECT_EQ(weft_chan_recv(h->go, NULL, WEFT_FOREVER), 0);
	expect_label("request", "17");
	EXPECT_EQ(weft_label_set("request", "mine"), 0);
	EXPECT_EQ(weft_label_set("own", "1"), 0);
	expect_label("request", "mine");
	weft_waitgroup_done(&h->wg);
}

static int
inherits_in_scope(void *arg)
{
	inherits(arg);
	return 0;
}

TEST(goroutines_begin_with_the_labels_of_who_starts_them)
{
	const weft_go_options named = { .size = sizeof(named), .name = "an heir" };
	struct heir h = { .go = weft_chan_new(0, 0) };
	weft_scope *scope = weft_scope_new(NULL, WEFT_FOREVER);

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	weft_waitgroup_add(&h.wg, 4);		/* one more by weft_waitgroup_go() */
	EXPECT_EQ(weft_go(inherits, &h), 0);
	EXPECT_EQ(weft_go_with(&named, inherits, &h), 0);
	EXPECT_EQ(weft_scope_go(scope, inherits_in_scope, &h), 0);
	EXPECT_EQ(weft_waitgroup_go(&h.wg, inherits, &h), 0);
	EXPECT_EQ(weft_label_set("request", "18"), 0);
	weft_chan_close(h.go);
	EXPECT_EQ(weft_waitgroup_wait(&h.wg, WEFT_FOREVER), 0);
	expect_label("request", "18");
	expect_label("own", NULL);
	EXPECT_EQ(weft_scope_wait(scope, WEFT_FOREVER), 0);
	weft_scope_free(scope);
	weft_chan_unref(h.go);
}

static void
has_none(void *arg)
{
	expect_label("request", NULL);
	EXPECT_EQ(weft_chan_send(arg, NULL, WEFT_FOREVER), 0);
}

/* It runs when it is due, started by whoever comes by then: here it is this goroutine. */
TEST(what_a_timer_starts_has_none)
{
	weft_chan *done = weft_chan_new(0, 0);
	weft_timer *t;

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	t = weft_timer_new(WEFT_NOW, 0, has_none, done);
	EXPECT(t != NULL);
	EXPECT_EQ(weft_chan_recv(done, NULL, WEFT_FOREVER), 1);
	weft_timer_free(t);
	weft_chan_unref(done);
}

static void *
a_thread(void *arg)
{
	expect_label("request", NULL);
	EXPECT_EQ(weft_label_set("request", arg), 0);
	expect_label("request", arg);
	return NULL;
}

/* The second thread gets what the first one had of weft, and none of its labels. */
TEST(a_plain_thread_has_labels_until_it_ends)
{
	char value[] = "of a thread";

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	elsewhere(a_thread, value);
	elsewhere(a_thread, value);
	expect_label("request", "17");
}

/* ---- for the time of a call ---- */

static void
has_one_more(void *arg)
{
	expect_label("request", "17");
	expect_label("step", "parse");
	EXPECT_EQ(weft_label_set("request", "changed"), 0);
	EXPECT_EQ(weft_label_set("other", "left"), 0);
	weft_yield();
	if (arg != NULL)
		weft_panic("%s", (const char *)arg);
}

static void
does_it(void *arg)
{
	EXPECT_EQ(weft_label_do("step", "parse", has_one_more, arg), 0);
}

static void
expect_as_before(void)
{
	expect_label("request", "17");
	expect_label("step", NULL);
	expect_label("other", NULL);
}

TEST(after_a_call_with_a_label_all_are_as_before)
{
	char why[] = "it fails", msg[32];

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	does_it(NULL);
	expect_as_before();
	EXPECT_EQ(weft_try(does_it, why, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, why);
	expect_as_before();
	EXPECT_EQ(weft_label_do("", "x", has_one_more, NULL), -EINVAL);
	expect_as_before();
}

/* ---- a thread that ends amid such a call ---- */

static int deferred;

static void
count_deferred(void *unused)
{
	(void)unused;
	deferred++;
	expect_label("step", NULL);
	expect_label("a", "x");
}

static void
ends_thread(void *unused)
{
	(void)unused;
	expect_label("step", "parse");
	pthread_exit(NULL);
}

static void *
exits_amid_a_call(void *unused)
{
	char key[2] = "a", value[WEFT_LABEL_VALUE_BYTES + 1] = "x";

	(void)unused;
	for (int i = 0; i < 12; i++, key[0]++) {
		EXPECT_EQ(weft_label_set(key, value), 0);
		memset(value, 'x', sizeof(value) - 1);
	}
	weft_defer(count_deferred, NULL);
	EXPECT_EQ(weft_label_do("step", "parse", ends_thread, NULL), 0);
	return NULL;
}

/* Who keeps the labels of before for such a thread grows by 1.6 KiB with each. */
TEST(a_thread_that_exits_amid_a_call_has_those_before_and_keeps_none)
{
	size_t before = 0;

	for (int i = 0; i < 250; i++) {
		if (i == 50)
			before = mallinfo2().uordblks;
		elsewhere(exits_amid_a_call, NULL);
	}
	EXPECT_EQ(deferred, 250);
	EXPECT(mallinfo2().uordblks < before + 100000);
}

static void
calls_no_function(void *unused)
{
	(void)unused;
	(void)weft_label_do("step", "parse", NULL, NULL);
}

TEST(a_call_of_no_function_is_a_panic)
{
	char msg[64];

	EXPECT_EQ(weft_try(calls_no_function, NULL, msg, sizeof(msg)), 1);
	EXPECT_STR(msg, "weft_label_do of nil func value");
}

static void
says_labels(void *arg)
{
	expect_as_before();
	weft_waitgroup_done(arg);
}

static void
exits(void *arg)
{
	(void)arg;
	expect_label("step", "parse");
	weft_goexit();
}

static void
exits_within(void *arg)
{
	weft_defer(says_labels, arg);
	(void)weft_label_do("step", "parse", exits, NULL);
}

TEST(a_goroutine_that_exits_within_has_those_before_in_its_deferred_calls)
{
	weft_waitgroup wg = {0};

	EXPECT_EQ(weft_label_set("request", "17"), 0);
	weft_waitgroup_add(&wg, 1);
	EXPECT_EQ(weft_go(exits_within, &wg), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, WEFT_FOREVER), 0);
}

/* ---- as others see them ---- */

static void
waits(void *gate)
{
	(void)weft_chan_recv(gate, NULL, WEFT_FOREVER);
}

static void
dump_with_labels(void *unused)
{
	const weft_go_options named = { .size = sizeof(named), .name = "worker" };
	weft_chan *gate = weft_chan_new(0, 0);

	(void)unused;
	EXPECT_EQ(weft_label_set("pattern", "GET /a \"b\" \\"), 0);
	EXPECT_EQ(weft_label_set("job", "ingest_1/a.b"), 0);
	EXPECT_EQ(weft_go_with(&named, waits, gate), 0);
	EXPECT_EQ(weft_label_set("job", NULL), 0);
	EXPECT_EQ(weft_go(waits, gate), 0);
	EXPECT_EQ(weft_label_set("pattern", NULL), 0);
	while (weft_dump_blocked(-1, 0) != 2)
		weft_yield();
	weft_dump(STDERR_FILENO);
}

TEST(a_dump_shows_them_as_go_does)
{
	struct child_result r = child_run(dump_with_labels, NULL);

	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, "goroutine 1 [running]:\n");
	EXPECT_CONTAINS(r.err, ", \"worker\"]"
	    " {job: ingest_1/a.b, pattern: \"GET /a \\\"b\\\" \\\\\"}:\n");
	EXPECT_CONTAINS(r.err, "] {pattern: \"GET /a \\\"b\\\" \\\\\"}:\n");
	child_result_free(&r);
}

/* For readers that know only what Go before 1.27 prints. */
TEST(a_dump_can_leave_them_out)
{
	struct child_result r;

	EXPECT_EQ(setenv("WEFT_DEBUG", "tracebacklabels=0", 1), 0);
	r = child_run(dump_with_labels, NULL);
	EXPECT_EQ(r.status, 0);
	EXPECT_CONTAINS(r.err, ", \"worker\"]:\n");
	EXPECT(strstr(r.err, "pattern") == NULL);
	child_result_free(&r);
}
