/*
 * WEFT_DEBUG is how people ask a program what it does. A switch that is read wrongly, or ignored
 * without a word, sends them looking in the wrong place.
 */
#include "sched/hooks.h"

#include "child.h"
#include "test.h"

#include <string.h>

TEST(nothing_set_is_all_off)
{
	struct wf_debug d;
	static const char *const texts[] = {NULL, "", ",", ",,"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&d, 0xff, sizeof(d));
		wf_debug_parse(texts[i], &d);
		EXPECT_EQ(d.schedtrace_ms, 0);
		EXPECT(!d.scheddetail && !d.crash && !d.nomembarrier);
		EXPECT(!d.no_traceback_labels);
		EXPECT_STR(d.guard, "");
		EXPECT_EQ(d.leak_search_ms, 30000);
	}
}

TEST(every_switch_is_read)
{
	struct wf_debug d;

	wf_debug_parse("schedtrace=1000,scheddetail=1,crash=1,nomembarrier=1,guard=mprotect", &d);
	EXPECT_EQ(d.schedtrace_ms, 1000);
	EXPECT(d.scheddetail && d.crash && d.nomembarrier);
	EXPECT_STR(d.guard, "mprotect");
	wf_debug_parse("schedtrace=999999999,scheddetail=0", &d);
	EXPECT_EQ(d.schedtrace_ms, 999999999);
	EXPECT(!d.scheddetail && !d.no_traceback_labels);
	wf_debug_parse("tracebacklabels=0", &d);
	EXPECT(d.no_traceback_labels);
	wf_debug_parse("tracebacklabels=1", &d);
	EXPECT(!d.no_traceback_labels);
	wf_debug_parse("leaksearch=0", &d);
	EXPECT_EQ(d.leak_search_ms, 0);
}

static void
parse_in_child(void *text)
{
	struct wf_debug d;

	wf_debug_parse(text, &d);
	if (d.schedtrace_ms != 7)
		FAIL("what is right was lost: schedtrace=%lld", (long long)d.schedtrace_ms);
}

/* One line each, naming the item; the rest still counts. */
TEST(what_means_nothing_is_said_aloud)
{
	static const char *const bad[][2] = {
	    {"shedtrace=5,schedtrace=7", "shedtrace=5"},
	    {"schedtrace=7,scheddetail", "scheddetail"},
	    {"schedtrace=7,guard=none", "guard=none"},
	    {"schedtrace=7,crash=yes", "crash=yes"},
	    {"schedtrace=7,=1", "=1"},
	    {"schedtrace=7,schedtrace=-5", "schedtrace=-5"},
	    {"schedtrace=7,schedtrace=9999999999", "schedtrace=9999999999"},
	    {"schedtrace=7,schedtrace=", "schedtrace="},
	    {"schedtrace=7,guard=madvisemadvise", "guard=madvisemadvise"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct child_result r = child_run(parse_in_child, (void *)(uintptr_t)bad[i][0]);
		const char *nl;

		EXPECT_EQ(r.status, 0);
		EXPECT_CONTAINS(r.err, "WEFT_DEBUG");
		EXPECT_CONTAINS(r.err, bad[i][1]);
		nl = strchr(r.err, '\n');
		EXPECT(nl != NULL && nl[1] == '\0');
		child_result_free(&r);
	}
}
