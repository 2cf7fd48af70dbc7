/*
 * What the environment says, but for WEFT_DEBUG (debug/env.c). Whatever it says, nothing comes of
 * it but a setting within its bounds: what means nothing is told on stderr, and the default taken.
 */
#include "sched/settings.h"

#include "os/os.h"
#include "sched/sched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A variable that means nothing is said so, once, and then ignored. */
static void
complain(const char *name, const char *value, const char *wanted)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
	    "weft: %s: can't make sense of \"%.64s\": wanted is %s\n", name, value, wanted);

	(void)wf_os_write(2, line, wf_min((size_t)n, sizeof(line) - 1));
}

/* A variable that counts something, cut to max; 0 when it is not set or means nothing. */
static uint32_t
count_from_env(const char *name, long max, const char *wanted)
{
	const char *s = wf_os_getenv(name);
	char *end;
	long n;

	if (s == NULL || *s == '\0')
		return 0;
	n = strtol(s, &end, 10);
	if (*end == '\0' && n > 0)
		return (uint32_t)wf_min(n, max);
	complain(name, s, wanted);
	return 0;
}

uint32_t
wf_procs_from_env(void)
{
	static const char wanted[] = "a number of processors, 1 to 1024";
	uint32_t n = count_from_env("WEFT_MAXPROCS", PROCS_MAX, wanted);

	return n != 0 ? n : count_from_env("GOMAXPROCS", PROCS_MAX, wanted);
}

static enum wf_poller
poller_from_env(void)
{
	const char *s = wf_os_getenv("WEFT_POLLER");

	if (s == NULL || *s == '\0')
		return WF_POLLER_DEFAULT;
	if (strcmp(s, "epoll") == 0)
		return WF_POLLER_EPOLL;
	if (strcmp(s, "uring") == 0)
		return WF_POLLER_URING;
	complain("WEFT_POLLER", s, "epoll or uring");
	return WF_POLLER_DEFAULT;
}

void
wf_settings_from_env(struct wf_settings *ret, bool tells_poller)
{
	uint32_t n = count_from_env("WEFT_FILE_THREADS", THREADS_MAX, "a number of threads");

	ret->poller = poller_from_env();
	ret->tells_poller = tells_poller;
	ret->file_threads = n != 0 ? n : FILE_THREADS;
}

size_t
wf_stack_from_env(void)
{
	const char *s = wf_os_getenv("WEFT_STACK");
	unsigned long long n, unit = 1;
	char *end;

	if (s == NULL || *s == '\0')
		return 0;
	n = strtoull(s, &end, 10);
	if (*end == 'K' || *end == 'k')
		unit = 1 << 10, end++;
	else if (*end == 'M' || *end == 'm')
		unit = 1 << 20, end++;
	if (*s < '0' || *s > '9' || *end != '\0' || n == 0 || n > WF_STACK_MAX / unit) {
		complain("WEFT_STACK", s, "bytes, as 65536, 64K or 1M, up to 1024M");
		return 0;
	}
	return (size_t)(n * unit);
}
