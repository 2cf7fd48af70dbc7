/*
 * What not to do: take the address of errno, or of a thread-local, before a wait and use it after.
 * Nobody writes that, but it is what compilers make of code that looks innocent. docs/errno.md
 *
 * Prints how often a goroutine woke up on another thread, and how often the compiler then used the
 * old thread's variables. Compiled without optimisation it does not happen.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <weft.h>

enum { GOROUTINES = 8, SLEEPS = 2000 };

static _Atomic int moved, stale_errno, stale_local;
static __thread int local;

/* What the compiler must not see through. */
#if defined(__clang__)
#define OPAQUE __attribute__((noinline))
#else
#define OPAQUE __attribute__((noipa))
#endif

OPAQUE static int *
true_errno(void)
{
	int *p = &errno;

	__asm__ volatile("" : "+r"(p));
	return p;
}

OPAQUE static int *
true_local(void)
{
	int *p = &local;

	__asm__ volatile("" : "+r"(p));
	return p;
}

static void
sleep_and_look(void *arg)
{
	(void)arg;
	for (int i = 0; i < SLEEPS; i++) {
		int *before = true_errno(), *errno_seen, *local_seen;

		errno = 0;
		local = 0;
		weft_sleep(1000);
		__asm__ volatile("" : "=r"(errno_seen) : "0"(&errno));
		__asm__ volatile("" : "=r"(local_seen) : "0"(&local));
		if (true_errno() == before)
			continue;
		atomic_fetch_add(&moved, 1);
		atomic_fetch_add(&stale_errno, errno_seen != true_errno());
		atomic_fetch_add(&stale_local, local_seen != true_local());
	}
}

int
main(void)
{
	weft_waitgroup all = {0};

	weft_gomaxprocs(4);
	for (int i = 0; i < GOROUTINES; i++) {
		if (weft_waitgroup_go(&all, sleep_and_look, NULL) < 0)
			return 1;
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	printf("moved %d, errno of the old thread %d, thread-local of the old thread %d\n", moved,
	    stale_errno, stale_local);
	return 0;
}
