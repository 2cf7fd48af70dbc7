/*
 * The walk up a stack runs while the process dies, on stacks that may be garbage. If it faulted or
 * looped, the report of the first fault would be lost behind a second one; if it lost its way in
 * optimised code, the report would name the wrong function.
 */
#define _GNU_SOURCE
#include "debug/unwind.h"

#include "arch/escape.h"
#include "debug/symtab.h"
#include "test.h"

#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define FRAMES 64

static struct wf_symtab symtab;
static struct wf_unwind walker;
static char names[FRAMES][64];
static size_t n_names;

static char area[256 << 10] __attribute__((aligned(4096)));

/* Walks from c and keeps the names. */
static void
walk(const struct wf_ctx *c, uintptr_t lo, uintptr_t hi)
{
	struct wf_symbol s;

	n_names = 0;
	wf_unwind_ctx(&walker, c, lo, hi, /* is_known */ true);
	do {
		wf_symtab_find(&symtab, wf_unwind_lookup_pc(&walker), &s);
		snprintf(names[n_names], sizeof(names[0]), "%s", s.name != NULL ? s.name : "??");
	} while (++n_names < FRAMES && wf_unwind_next(&walker));
}

/* ---- a stack that was left by a switch ---- */

static struct wf_ctx mine, other;

__attribute__((noinline)) static int
leaves(int n)
{
	volatile char room[48];

	room[0] = (char)n;
	(void)wf_ctx_switch(&other, &mine, NULL);
	return room[0];
}

__attribute__((noinline)) static int
recurses(int n)
{
	volatile char room[300];

	room[0] = (char)n;
	return (n > 0 ? recurses(n - 1) : leaves(n)) + room[0];
}

static void
body(void *arg)
{
	(void)recurses((int)(intptr_t)arg);
	abort();
}

static void
in_escape(void *arg)
{
	struct wf_ctx c;

	(void)wf_ctx_call(&c, body, arg);
	abort();
}

static void
run_on_area(void (*fn)(void *), int depth)
{
	wf_ctx_init(&other, fn, (uintptr_t)area + sizeof(area));
	(void)wf_ctx_switch(&mine, &other, (void *)(intptr_t)depth);
}

TEST(a_stack_that_was_left_is_walked_to_its_entry)
{
	run_on_area(body, 5);
	walk(&other, (uintptr_t)area, (uintptr_t)area + sizeof(area));
	EXPECT_EQ(n_names, 9);
	EXPECT_STR(names[0], "leaves");
	for (size_t i = 1; i <= 6; i++)
		EXPECT(strncmp(names[i], "recurses", 8) == 0);
	EXPECT_STR(names[7], "body");
	EXPECT_STR(names[8], "wf_ctx_entry");
}

/* The second walk goes by what the first has learnt; it must come to the same registers. */
TEST(plans_lead_where_descriptions_do)
{
	static struct wf_regs learnt[FRAMES];
	uintptr_t lo = (uintptr_t)area, hi = lo + sizeof(area);

	run_on_area(in_escape, 20);
	for (int round = 0; round < 3; round++) {
		size_t n = 0;

		if (round != 1)
			wf_cfi_init(&walker.cfi);
		wf_unwind_ctx(&walker, &other, lo, hi, /* is_known */ true);
		do {
			if (round > 0) {
				EXPECT_EQ(walker.regs.pc, learnt[n].pc);
				EXPECT_EQ(memcmp(walker.regs.known, learnt[n].known,
					      sizeof(learnt[n].known)),
				    0);
				for (int i = 0; i < WF_NREGS; i++)
					EXPECT(!learnt[n].known[i] ||
					    walker.regs.v[i] == learnt[n].v[i]);
			}
			learnt[n] = walker.regs;
		} while (++n < FRAMES && wf_unwind_next(&walker));
		EXPECT_EQ(n, 26);
	}
}

TEST(an_escape_is_walked_through)
{
	run_on_area(in_escape, 0);
	walk(&other, (uintptr_t)area, (uintptr_t)area + sizeof(area));
	EXPECT_EQ(n_names, 6);
	EXPECT_STR(names[2], "body");
	EXPECT_STR(names[3], "wf_ctx_call");
	EXPECT_STR(names[4], "in_escape");
	EXPECT_STR(names[5], "wf_ctx_entry");
}

TEST(a_stack_that_was_never_entered_has_one_frame)
{
	wf_ctx_init(&other, body, (uintptr_t)area + sizeof(area));
	walk(&other, (uintptr_t)area, (uintptr_t)area + sizeof(area));
	EXPECT_EQ(n_names, 1);
	EXPECT_STR(names[0], "wf_ctx_entry");
}

/* ---- escapes ---- */

static int landed, left_open;

__attribute__((noinline)) static void
escape_from(void *c, int depth)
{
	struct wf_ctx gone;

	if (depth > 0)
		escape_from(c, depth - 1);
	else
		(void)wf_ctx_switch(&gone, c, NULL);
	left_open++;
}

static void
escape(void *c)
{
	escape_from(c, 10);
}

static void
count(void *n)
{
	++*(int *)n;
}

TEST(a_call_returns_or_is_left)
{
	struct wf_ctx c;

	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(wf_ctx_call(&c, count, &landed), 0);
		EXPECT_EQ(wf_ctx_call(&c, escape, &c), 1);
	}
	EXPECT_EQ(landed, 1000);
	EXPECT_EQ(left_open, 0);
}

/* ---- code without a description ---- */

#if defined(__x86_64__)
__asm__(".text\n"
	".type undescribed, @function\n"
	"undescribed:\n"
	"	pushq %rbp\n"
	"	movq %rsp, %rbp\n"
	"	subq $32, %rsp\n"
	"	call leaves_exported\n"
	"	leave\n"
	"	ret\n"
	".size undescribed, .-undescribed\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".type undescribed, %function\n"
	"undescribed:\n"
	"	stp x29, x30, [sp, #-32]!\n"
	"	mov x29, sp\n"
	"	bl leaves_exported\n"
	"	ldp x29, x30, [sp], #32\n"
	"	ret\n"
	".size undescribed, .-undescribed\n");
#endif

void undescribed(void);
void leaves_exported(void);

__attribute__((noinline, used)) void
leaves_exported(void)
{
	(void)leaves(1);
	__asm__ volatile("");
}

static void
calls_undescribed(void *arg)
{
	(void)arg;
	undescribed();
	abort();
}

TEST(frame_pointers_help_where_nothing_is_described)
{
	run_on_area(calls_undescribed, 0);
	walk(&other, (uintptr_t)area, (uintptr_t)area + sizeof(area));
	EXPECT_STR(names[0], "leaves");
	EXPECT_STR(names[1], "leaves_exported");
	EXPECT_STR(names[2], "undescribed");
	EXPECT_STR(names[3], "calls_undescribed");
}

/* ---- garbage ---- */

/* Words that look like what a stack holds: addresses of the stack, of code, small numbers. */
static uintptr_t
plausible(uint64_t *rng)
{
	static void *const code[] = {(void *)leaves, (void *)recurses, (void *)body, (void *)printf,
	    (void *)qsort, (void *)wf_ctx_entry};
	uint64_t r = test_rand(rng);

	switch (r % 5) {
	case 0:
		return (uintptr_t)area + (r >> 8) % sizeof(area);
	case 1:
		return ((uintptr_t)area + (r >> 8) % sizeof(area)) & ~(uintptr_t)7;
	case 2:
		return (uintptr_t)code[(r >> 8) % 6] + (r >> 16) % 64;
	case 3:
		return (r >> 8) % 4096;
	default:
		return (uintptr_t)test_rand(rng);
	}
}

TEST(garbage_ends_the_walk_and_nothing_else)
{
	uint64_t rng = test_seed();
	uintptr_t lo = (uintptr_t)area, hi = lo + sizeof(area);

	for (int round = 0; round < 200; round++) {
		uintptr_t *words = (uintptr_t *)(void *)area;

		for (size_t i = 0; i < sizeof(area) / sizeof(*words); i++)
			words[i] = plausible(&rng);
		for (int i = 0; i < 50; i++) {
			struct wf_ctx c = {
			    .sp = plausible(&rng), .fp = plausible(&rng), .pc = plausible(&rng)};

			walk(&c, lo, hi);
			EXPECT(n_names >= 1);
		}
	}
}

TEST(memory_that_is_not_there_ends_the_walk)
{
	struct wf_ctx c = {.sp = 4096 + 64, .fp = 4096 + 256, .pc = (uintptr_t)leaves + 8};

	n_names = 0;
	wf_unwind_ctx(&walker, &c, 4096, 1 << 20, /* is_known */ false);
	while (n_names++ < FRAMES && wf_unwind_next(&walker))
		continue;
	EXPECT(n_names <= 2);
}

static void *
walks_from_nowhere(void *arg)
{
	/* Code that a program has made itself, say. */
	struct wf_ctx c = {.sp = 4096 + 64, .fp = 4096 + 256, .pc = (uintptr_t)arg};

	wf_unwind_ctx(&walker, &c, 4096, 1 << 20, /* is_known */ false);
	(void)wf_unwind_next(&walker);
	return NULL;
}

/* dl_iterate_phdr() calls this with the loader's lock held. */
static int
walk_meanwhile(struct dl_phdr_info *info, size_t size, void *arg)
{
	void *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec until;
	pthread_t thread;

	(void)info;
	(void)size;
	EXPECT(nowhere != MAP_FAILED);
	EXPECT_EQ(pthread_create(&thread, NULL, walks_from_nowhere, nowhere), 0);
	EXPECT_EQ(clock_gettime(CLOCK_REALTIME, &until), 0);
	until.tv_sec += 60;
	*(int *)arg = pthread_timedjoin_np(thread, NULL, &until);
	return 1;
}

/* A signal may come upon code that has it: the profiler's handler would wait for ever. */
TEST(a_walk_takes_no_lock_of_the_loaders)
{
	int result = -1;

	(void)dl_iterate_phdr(walk_meanwhile, &result);
	EXPECT_EQ(result, 0);
}
