/* The first program with weft-sim: an hour that takes no time. Also C++. */
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>
#include <weft/sim.h>

static void
wait_an_hour(void *arg)
{
	(void)arg;
	if (weft_sleep((int64_t)3600 * 1000000000) != 0)
		abort();
}

int
main(void)
{
	weft_sim_result r;

	if (weft_sim_run_with(NULL, 1, wait_an_hour, NULL, &r) != 0)
		return 1;
	if (r.elapsed_ns < (int64_t)3600 * 1000000000)
		return 1;
	printf("hello from goroutine %d\n", (int)weft_goid());
	return 0;
}
