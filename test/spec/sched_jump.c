/*
 * setjmp(3) and longjmp(3) of the program's own inside of a goroutine: libraries report errors by
 * it. glibc's checked variant, which _FORTIFY_SOURCE takes, compares stack pointers and ends the
 * process where it believes that the frame is gone. Catalogue 124.
 */
#include <weft.h>

#include "test.h"

#include <setjmp.h>

/* What longjmp(3) is with _FORTIFY_SOURCE; not in every libc. */
extern void __longjmp_chk(jmp_buf, int) __attribute__((noreturn, weak));

/* By a pointer that changes: a compiler must not know that this does not return. */
static void (*volatile jump)(jmp_buf, int);

struct attempt {
	jmp_buf place;
	int depth;
};

static __attribute__((noinline)) void
descend(struct attempt *a, int depth)
{
	volatile char frame[200];

	frame[0] = (char)depth;
	if (depth % 8 == 0)
		weft_yield();
	if (depth < a->depth)
		descend(a, depth + 1);
	else
		jump(a->place, depth + 1);
	frame[1] = frame[0];
}

static void
jump_often(void *arg)
{
	struct attempt a;

	for (volatile int i = 0; i < 200; i++) {
		int got;

		a.depth = i % 40;
		got = setjmp(a.place);
		if (got == 0)
			descend(&a, 0);
		EXPECT_EQ(got, a.depth + 1);
	}
	weft_waitgroup_done(arg);
}

TEST(a_program_may_jump_within_its_goroutine)
{
	weft_waitgroup group = { 0 };

	jump = __longjmp_chk != NULL ? __longjmp_chk : longjmp;
	weft_gomaxprocs(4);
	weft_waitgroup_add(&group, 21);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(jump_often, &group), 0);
	jump_often(&group);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}
