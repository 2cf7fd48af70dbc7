/*
 * Stacks: guards of all three kinds, reuse, giving back. Each mode is forced, so that the
 * fallbacks are tried on every machine.
 */
#include <weft.h>
#include "sched/stack.h"
#include "os/os.h"

#include "child.h"
#include "test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void
write_below(void *arg)
{
	struct wf_stack *s;
	size_t below = (size_t)(uintptr_t)arg;

	wf_stack_init(getenv("GUARD"), 0, true);
	s = wf_stack_get(0);
	*(volatile char *)s->lo = 1;
	*(volatile char *)(s->hi - 1) = 1;
	fprintf(stderr, "usable\n");
	*(volatile char *)(s->lo - below) = 1;
	fprintf(stderr, "not guarded\n");
}

static void
expect_guard(const char *env)
{
	const char *envs[] = { env, NULL };
	struct child_options o = { .env = envs };
	/* A frame of 60 KB that begins at the last usable byte still lands in the guard. */
	static const size_t below[] = { 1, 4096, 20 << 10, 60 << 10, 64 << 10 };

	for (size_t i = 0; i < wf_countof(below); i++) {
		struct child_result r = child_run_with(&o, write_below,
		    (void *)(uintptr_t)below[i]);

		EXPECT_CONTAINS(r.err, "usable");
		EXPECT(strstr(r.err, "not guarded") == NULL);
		EXPECT(r.status != 0);
		child_result_free(&r);
	}
}

TEST(madvise_guards_fault)
{
	wf_stack_init(NULL, 0, true);
	if (wf_stack_guard_mode() != GUARD_MADVISE)
		SKIP("this kernel has no MADV_GUARD_INSTALL");
	expect_guard("GUARD=madvise");
}

TEST(mprotect_guards_fault)
{
	expect_guard("GUARD=mprotect");
}

static long
max_map_count(void)
{
	char buf[32];

	EXPECT(wf_os_read_file("/proc/sys/vm/max_map_count", buf, sizeof(buf)) > 0);
	return atol(buf);
}

/* Past vm.max_map_count there is no guard to be had: the canary takes over, and is seen. */
TEST(stacks_beyond_the_map_limit_have_canaries)
{
	enum { N = 33500 };
	static struct wf_stack *all[N];
	int canaries = 0;

	wf_stack_init("mprotect", WF_STACK_MIN, true);
	for (int i = 0; i < N; i++) {
		all[i] = wf_stack_get(0);
		EXPECT(all[i] != NULL);
		if (all[i]->has_canary) {
			canaries++;
			EXPECT(wf_stack_canary_ok(all[i]));
			*(volatile char *)all[i]->lo = 'x';
			EXPECT(!wf_stack_canary_ok(all[i]));
		}
	}
	/* RELIABILITY 120: there are mappings left for the program's own. None joins the last. */
	for (int i = 0; i < 1000; i++)
		EXPECT(mmap(NULL, wf_os_page_size(), i % 2 == 0 ? PROT_NONE : PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	for (int i = 0; i < N; i++)
		wf_stack_put(all[i]);
	/* Where the limit is the usual one, some had to do without a guard. */
	EXPECT(canaries > 0 || max_map_count() > 70000);
}

TEST(the_newest_free_stack_is_used_first)
{
	struct wf_stack *a, *b;

	wf_stack_init(NULL, 0, true);
	a = wf_stack_get(0);
	b = wf_stack_get(0);
	wf_stack_put(a);
	wf_stack_put(b);
	EXPECT(wf_stack_get(0) == b);
	EXPECT(wf_stack_get(0) == a);
}

/* Can this kernel make several ready in one call? */
static bool
can_make_ready(void)
{
	size_t page = wf_os_page_size();
	char *p = wf_os_map(4 * page);
	void *guards[] = { p, p + 2 * page }, *pages[] = { p + page, p + 3 * page };
	bool can;

	EXPECT(p != NULL);
	can = wf_os_make_ready(guards, page, pages, page, 2) == 0;
	for (size_t at = 0; can && at < 4; at += 2) {
		EXPECT(wf_os_faults(p + at * page));
		EXPECT_EQ(wf_os_untouched(p + (at + 1) * page, page), 0);
	}
	wf_os_unmap(p, 4 * page);
	return can;
}

/*
 * While few are in use each is made when it is needed, and then some more along with it: guarded
 * like the others, and their first page is there. Where the kernel can't, as before.
 */
TEST(many_are_made_ready_together)
{
	enum { FEW = 30, MANY = 300 };
	struct wf_stack *all[MANY];
	size_t page = wf_os_page_size();
	int n_there = 0;

	wf_stack_init(NULL, 0, true);
	for (int i = 0; i < MANY; i++) {
		all[i] = wf_stack_get(0);
		EXPECT(all[i] != NULL && all[i]->is_guarded);
		if (wf_stack_guard_mode() == GUARD_MADVISE)
			EXPECT(wf_os_faults((char *)all[i]->lo - 1));
		n_there += wf_os_untouched((char *)all[i]->hi - page, page) == 0;
		if (i < FEW)
			EXPECT_EQ(n_there, 0);
	}
	if (wf_stack_guard_mode() == GUARD_MADVISE && can_make_ready())
		EXPECT(n_there > MANY / 2);
	else
		EXPECT_EQ(n_there, 0);
	for (int i = 0; i < MANY; i++)
		wf_stack_put(all[i]);
}

TEST(sizes_are_at_least_what_was_asked)
{
	static const size_t sizes[] = { 1, 16 << 10, (16 << 10) + 1, 100000, 1 << 20,
	    (8 << 20) + 1 };

	wf_stack_init(NULL, 0, true);
	EXPECT_EQ(wf_stack_default_bytes(), WF_STACK_DEFAULT);
	for (size_t i = 0; i < wf_countof(sizes); i++) {
		struct wf_stack *s = wf_stack_get(sizes[i]);

		EXPECT(s->hi - s->lo >= sizes[i]);
		EXPECT(!wf_stack_is_default(s));
		wf_stack_put(s);
	}
}

/* What many goroutines touched goes back, what a few need again stays. */
TEST(scavenging_gives_pages_back)
{
	enum { N = 2000 };
	static struct wf_stack *all[N];

	wf_stack_init(NULL, 0, true);
	for (int i = 0; i < N; i++) {
		all[i] = wf_stack_get(0);
		*(volatile char *)(all[i]->hi - 1) = 'x';
	}
	for (int i = 0; i < N; i++)
		wf_stack_put(all[i]);
	/* Without a monitor the coarse clock stands at 0: they were given back that long ago. */
	EXPECT_EQ(wf_stack_scavenge(wf_os_now() + 1000000000, 1000000), SCAVENGED_OLD);
	while (wf_stack_scavenge(0, 1000000) == SCAVENGED_SOME)
		;
	/* The newest are kept warm; a far older one reads as zero, or its arena is unmapped. */
	all[0] = wf_stack_get(0);
	EXPECT_EQ(*(volatile char *)(all[0]->hi - 1), 'x');
	for (int i = 1; i < 200; i++)
		all[i] = wf_stack_get(0);
	EXPECT_EQ(*(volatile char *)(all[199]->hi - 1), 0);
}

TEST(small_stacks_share_pages_and_have_canaries)
{
	enum { N = 1000 };
	static struct wf_stack *all[N];

	wf_stack_init(NULL, 0, true);
	for (int i = 0; i < N; i++) {
		all[i] = wf_stack_get(WEFT_STACK_SMALL);
		EXPECT_EQ(all[i]->hi - all[i]->lo, WEFT_STACK_SMALL);
		EXPECT(all[i]->has_canary && wf_stack_canary_ok(all[i]));
		memset((void *)(all[i]->hi - 512), i & 0x7f, 512);
	}
	EXPECT_EQ(all[1]->lo, all[0]->hi);
	for (int i = 0; i < N; i++) {
		EXPECT(wf_stack_canary_ok(all[i]));
		EXPECT_EQ(*(volatile char *)(all[i]->hi - 512), i & 0x7f);
	}
	/* Who runs over all[1] from above destroys its neighbour's top, and its own canary. */
	*(volatile char *)all[1]->lo = 'x';
	EXPECT(!wf_stack_canary_ok(all[1]));
	for (int i = 0; i < N; i++)
		wf_stack_put(all[i]);
}

TEST(small_stacks_are_larger_where_they_may_not_be_small)
{
	struct wf_stack *s;

	wf_stack_init(NULL, 0, false);
	s = wf_stack_get(WEFT_STACK_SMALL);
	EXPECT_EQ(s->hi - s->lo, WF_STACK_MIN);
	EXPECT_EQ(wf_stack_get(WEFT_STACK_SMALL)->lo - s->lo, WF_STACK_MIN + WF_GUARD_BYTES);
}

/* A page that stacks share goes back when all of them are free, and not before. */
TEST(scavenging_spares_pages_that_are_shared)
{
	enum { N = 2000 };
	static struct wf_stack *all[N];
	int zero = 0;

	wf_stack_init(NULL, 0, true);
	for (int i = 0; i < N; i++) {
		all[i] = wf_stack_get(WEFT_STACK_SMALL);
		*(volatile char *)(all[i]->hi - 1) = 'x';
	}
	for (int i = 0; i < N; i += 2)
		wf_stack_put(all[i]);
	while (wf_stack_scavenge(0, 1000000) == SCAVENGED_SOME)
		;
	for (int i = 1; i < N; i += 2)
		EXPECT_EQ(*(volatile char *)(all[i]->hi - 1), 'x');
	/* Taken again and given back, with the others: none may be in use twice. */
	for (int i = 0; i < N; i += 2) {
		all[i] = wf_stack_get(WEFT_STACK_SMALL);
		*(volatile char *)(all[i]->hi - 1) = 'y';
	}
	for (int i = 1; i < N; i += 2)
		EXPECT_EQ(*(volatile char *)(all[i]->hi - 1), 'x');
	EXPECT(wf_stack_has_surplus() == false);
	for (int i = 0; i < N; i++)
		wf_stack_put(all[i]);
	EXPECT(wf_stack_has_surplus());
	while (wf_stack_scavenge(0, 1000000) == SCAVENGED_SOME)
		;
	EXPECT(!wf_stack_has_surplus());
	/* The newest 64 are kept warm, and with them the pages of as many others at most. */
	for (int i = 0; i < 300; i++) {
		all[i] = wf_stack_get(WEFT_STACK_SMALL);
		zero += *(volatile char *)(all[i]->hi - 1) == 0;
	}
	EXPECT_EQ(*(volatile char *)(all[0]->hi - 1), 'x');
	EXPECT(zero >= 300 - 64 - 64);
}

static void
below_the_lowest(void *arg)
{
	struct wf_stack *s;

	wf_stack_init(arg, 0, true);
	s = wf_stack_get(WEFT_STACK_SMALL);
	*(volatile char *)s->lo = 1;
	fprintf(stderr, "usable\n");
	*(volatile char *)(s->lo - 1) = 1;
	fprintf(stderr, "not guarded\n");
}

TEST(packed_stacks_have_a_guard_below_them_all)
{
	static char by_mprotect[] = "mprotect";
	char *modes[] = {NULL, by_mprotect};

	for (size_t i = 0; i < wf_countof(modes); i++) {
		struct child_result r = child_run(below_the_lowest, modes[i]);

		EXPECT_CONTAINS(r.err, "usable");
		EXPECT(strstr(r.err, "not guarded") == NULL);
		EXPECT(r.status != 0);
		child_result_free(&r);
	}
}

/*
 * A process may have so many mappings. Those of guards that have been unmapped count no more: a
 * program that had many goroutines now and then once ended up with canaries only.
 */
TEST(unmapped_guards_are_given_back_to_the_budget)
{
	enum { N = 2000 };
	static struct wf_stack *all[N];
	struct wf_stack_usage before, after;

	wf_stack_init("mprotect", WF_STACK_MIN, true);
	wf_stack_usage(&before);
	for (int i = 0; i < N; i++) {
		all[i] = wf_stack_get(0);
		EXPECT(all[i]->is_protected && !all[i]->has_canary);
	}
	wf_stack_usage(&after);
	EXPECT_EQ(before.guards_left - after.guards_left, N);
	for (int i = 0; i < N; i++)
		wf_stack_put(all[i]);
	while (wf_stack_scavenge(0, 1000000) == SCAVENGED_SOME)
		;
	wf_stack_usage(&after);
	EXPECT(after.mapped_bytes < N * (WF_STACK_MIN + WF_GUARD_BYTES));
	EXPECT(before.guards_left - after.guards_left <=
	    (long)(after.mapped_bytes / (WF_STACK_MIN + WF_GUARD_BYTES)));
}

/* The same through the public API, with each kind of guard: 60 KB frames are caught and named. */
static int
frame_of_60k(int depth)
{
	volatile char frame[60 << 10];
	int below;

	/* Its address is known outside, so that no compiler keeps only the bytes that are used. */
	__asm__ volatile("" : : "r"(frame) : "memory");
	frame[0] = (char)depth;
	frame[sizeof(frame) - 1] = (char)depth;
	below = depth > 0 ? frame_of_60k(depth - 1) : 0;
	/* Used after the call, so that no compiler makes a loop of it. */
	return below + frame[0] + frame[sizeof(frame) - 1];
}

static void
overflow(void *arg)
{
	(void)arg;
	printf("%d\n", frame_of_60k(1000));
}

static void
overflow_in_a_goroutine(void *arg)
{
	weft_go_options o = { .size = sizeof(o), .name = "greedy" };

	(void)arg;
	weft_go_with(&o, overflow, NULL);
	weft_sleep(1000000000);
}

TEST(overflow_is_reported_with_every_guard)
{
	static const char *const modes[] = { "WEFT_DEBUG=guard=madvise",
	    "WEFT_DEBUG=guard=mprotect" };

	for (size_t i = 0; i < wf_countof(modes); i++) {
		const char *envs[] = { modes[i], NULL };
		struct child_options o = { .env = envs };
		struct child_result r = child_run_with(&o, overflow_in_a_goroutine, NULL);

		EXPECT_EQ(r.status, 2);
		EXPECT_CONTAINS(r.err, "stack overflow");
		EXPECT_CONTAINS(r.err, "greedy");
		EXPECT_CONTAINS(r.err, "WEFT_STACK");
		child_result_free(&r);
	}
}
