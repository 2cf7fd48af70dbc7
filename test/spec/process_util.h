/*
 * What the tests of child processes share.
 */
#ifndef WEFT_TEST_SPEC_PROCESS_UTIL_H
#define WEFT_TEST_SPEC_PROCESS_UTIL_H

#include "io_util.h"

#include "fds.h"
#include <signal.h>

#define SH(script) ((const char *const[]){"sh", "-c", (script), NULL})

/* Runs a script to its end. */
static inline weft_exit
run_script(const char *script, const weft_spawn_options *o)
{
	weft_exit e = {.code = -2};
	weft_process *p;

	EXPECT_EQ(weft_spawn(SH(script), o, &p), 0);
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	weft_process_free(p);
	return e;
}

/* All that fd gives until its end, with a NUL. Closes it. */
static inline char *
read_text(int fd)
{
	static char buf[65536];
	size_t n = 0;
	ssize_t r;

	EXPECT(fd >= 0);
	while ((r = weft_read(fd, buf + n, sizeof(buf) - 1 - n, soon())) > 0)
		n += (size_t)r;
	EXPECT_EQ(r, 0);
	buf[n] = '\0';
	EXPECT_EQ(weft_close(fd), 0);
	return buf;
}

#endif /* WEFT_TEST_SPEC_PROCESS_UTIL_H */
