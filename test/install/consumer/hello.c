/* The program that a user writes first. */
#include <stdio.h>
#include <weft.h>

static weft_waitgroup wg;

static void
hello(void *arg)
{
	printf("%s from goroutine %d\n", (char *)arg, (int)weft_goid());
	weft_waitgroup_done(&wg);
}

int
main(void)
{
	weft_waitgroup_add(&wg, 1);
	return weft_go(hello, (void *)"hello") || weft_waitgroup_wait(&wg, WEFT_FOREVER);
}
