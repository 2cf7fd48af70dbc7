/*
 * For libFuzzer: the variables that configure the runtime, but for WEFT_DEBUG (debug_env.c). The
 * input is their values, one after the other, with a NUL between them.
 *
 * fuzz: src/sched/settings.c
 */
#include "sched/settings.h"

#include "os/os.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { VARIABLES = 5 };

static const char *const names[VARIABLES]
    = {"WEFT_MAXPROCS", "GOMAXPROCS", "WEFT_FILE_THREADS", "WEFT_POLLER", "WEFT_STACK"};
static char *values[VARIABLES];
static int told[VARIABLES];	/* how often it was said to mean nothing */

const char *
wf_os_getenv(const char *name)
{
	for (int i = 0; i < VARIABLES; i++)
		if (strcmp(name, names[i]) == 0)
			return values[i];
	abort();
}

/* A whole line, which names the variable. */
ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	const char *line = buf;
	int found = 0;

	if (fd != 2 || n < 8 || memcmp(line, "weft: ", 6) != 0 || line[n - 1] != '\n' ||
	    memchr(line, '\0', n) != NULL)
		abort();
	for (int i = 0; i < VARIABLES; i++) {
		size_t len = strlen(names[i]);

		if (6 + len < n && memcmp(line + 6, names[i], len) == 0 && line[6 + len] == ':') {
			told[i]++;
			found++;
		}
	}
	if (found != 1)
		abort();
	return (ssize_t)n;
}

/* Digits only, and not all of them zeros: what must be understood, cut to its bounds. */
static bool
is_plain_number(const char *s)
{
	return s != NULL && *s != '\0' && s[strspn(s, "0123456789")] == '\0' &&
	    s[strspn(s, "0")] != '\0';
}

/* What is set either means something or is told to mean nothing, and not both. */
static void
check(int i, bool means_something)
{
	bool is_set = values[i] != NULL && values[i][0] != '\0';

	if (told[i] != (is_set && !means_something))
		abort();
}

static void
check_all(void)
{
	struct wf_settings c;
	uint32_t procs, files;
	size_t stack;
	bool has_procs;

	wf_settings_from_env(&c, false);
	files = c.file_threads;
	check(3, c.poller != WF_POLLER_DEFAULT);
	if (files < 1 || files > THREADS_MAX || (told[2] && files != FILE_THREADS))
		abort();
	if (is_plain_number(values[2]) && told[2])
		abort();

	procs = wf_procs_from_env();
	has_procs = is_plain_number(values[0]) || is_plain_number(values[1]);
	if (procs > PROCS_MAX || (has_procs && procs == 0))
		abort();
	if (procs == 0)
		check(0, false), check(1, false);

	stack = wf_stack_from_env();
	check(4, stack != 0);
	if (stack > WF_STACK_MAX)
		abort();
	if (stack == 0 && is_plain_number(values[4]) && strlen(values[4]) < 10)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *at = text, *end = text + n;

	memcpy(text, data, n);
	*end = '\0';
	for (int i = 0; i < VARIABLES; i++) {
		told[i] = 0;
		values[i] = at <= end && n != 0 ? at : NULL;
		at = at <= end ? at + strlen(at) + 1 : at;
	}
	check_all();
	free(text);
	return 0;
}
