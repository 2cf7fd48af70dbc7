/*
 * Three goroutines greet, one after the other or not: nobody says in which order they run. The
 * first program of docs/guide.md.
 */
#include <stdio.h>
#include <weft.h>

static void
greet(void *arg)
{
	printf("hello from %s, goroutine %d\n", (const char *)arg, (int)weft_goid());
}

int
main(void)
{
	static char names[][8] = { "warp", "weft", "loom" };
	weft_waitgroup all = {0};

	for (int i = 0; i < 3; i++) {
		if (weft_waitgroup_go(&all, greet, names[i]) < 0)
			return 1;
	}
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	return 0;
}
