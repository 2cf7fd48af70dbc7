/*
 * A bug for a sanitizer to find, in a goroutine that has parked and gone on: its argument names it.
 * Without an argument, the same without a bug.
 */
#include <weft.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *bug = "";
static weft_waitgroup group;

static void
use_memory(void *arg)
{
	weft_chan *c = arg;
	char *p = malloc(16);

	if (strcmp(bug, "uninitialised") != 0)
		memset(p, 'a', 16);
	weft_chan_recv(c, NULL, WEFT_FOREVER);
	if (strcmp(bug, "freed") == 0)
		free(p);
	if (p[7] == 'b')
		puts("b");
	if (strcmp(bug, "freed") != 0)
		free(p);
}

int
main(int argc, char **argv)
{
	weft_chan *c = weft_chan_new(0, 0);

	if (argc > 1)
		bug = argv[1];
	for (int i = 0; i < 20; i++)
		weft_waitgroup_go(&group, use_memory, c);
	for (int i = 0; i < 20; i++)
		weft_chan_send(c, NULL, WEFT_FOREVER);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	weft_chan_unref(c);
	return 0;
}
