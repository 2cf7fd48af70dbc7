/*
 * Goroutines that compute for ever or block in a call that weft knows nothing of, more of them than
 * there are processors; and a clock that goes on beside them.
 */
#include <stdio.h>
#include <unistd.h>
#include <weft.h>

#define MS ((int64_t)1000000)

static void
compute(void *arg)
{
	volatile unsigned long *rounds = arg;

	for (;;)
		*rounds = *rounds + 1;
}

static void
block(void *arg)
{
	char byte;

	if (read(*(int *)arg, &byte, 1) < 0)
		perror("read");
}

int
main(void)
{
	static unsigned long rounds[2];
	int silent[2];

	weft_gomaxprocs(2);
	if (pipe(silent) < 0)
		return 1;
	for (int i = 0; i < 2; i++) {
		if (weft_go(compute, &rounds[i]) < 0 || weft_go(block, &silent[0]) < 0)
			return 1;
	}
	for (int i = 1; i <= 5; i++) {
		weft_sleep(50 * MS);
		printf("%d\n", i);
	}
	return 0;
}
