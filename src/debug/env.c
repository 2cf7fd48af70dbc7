/*
 * WEFT_DEBUG: names and values, "schedtrace=1000,scheddetail=1". What means nothing is said aloud,
 * because a switch that is misspelt and silently off misleads.
 */
#include "sched/hooks.h"

#include "debug/out.h"

#include <string.h>

#define STDERR 2
#define LEAK_SEARCH_MS 30000

static void
warn(const char *item, size_t n)
{
	static const char known[] = ": known are schedtrace=MS, scheddetail=1, lint=1, "
				    "crash=1, nomembarrier=1, poller=1, tracebacklabels=0, "
				    "guard=madvise|mprotect|canary, leaksearch=MS, "
				    "traceadvanceperiod=NS\n";
	struct wf_out o;

	wf_out_init(&o, STDERR);
	wf_out_str(&o, "weft: WEFT_DEBUG: can't make sense of ");
	wf_out_mem(&o, item, n);
	wf_out_mem(&o, known, sizeof(known) - 1);
	wf_out_flush(&o);
}

/* A decimal number of at most 9 digits, all of s[0..n). */
static bool
number(const char *s, size_t n, int64_t *ret)
{
	int64_t v = 0;

	if (n == 0 || n > 9)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
	}
	*ret = v;
	return true;
}

static bool
is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

static bool
flag(const char *s, size_t n, bool *ret)
{
	int64_t v;

	if (!number(s, n, &v))
		return false;
	*ret = v != 0;
	return true;
}

/* A switch that is on unless it is said to be 0. */
static bool
flag_off(const char *s, size_t n, bool *ret)
{
	bool is_on;

	if (!flag(s, n, &is_on))
		return false;
	*ret = !is_on;
	return true;
}

static bool
guard(const char *s, size_t n, struct wf_debug *d)
{
	if (!is(s, n, "madvise") && !is(s, n, "mprotect") && !is(s, n, "canary"))
		return false;
	memcpy(d->guard, s, n);
	d->guard[n] = '\0';
	return true;
}

/* One name=value. False: unknown, or the value is. */
static bool
item(const char *s, size_t n, struct wf_debug *d)
{
	const char *eq = memchr(s, '=', n);
	size_t name, rest;

	if (eq == NULL)
		return false;
	name = (size_t)(eq - s);
	rest = n - name - 1;
	if (is(s, name, "schedtrace"))
		return number(eq + 1, rest, &d->schedtrace_ms);
	if (is(s, name, "scheddetail"))
		return flag(eq + 1, rest, &d->scheddetail);
	if (is(s, name, "crash"))
		return flag(eq + 1, rest, &d->crash);
	if (is(s, name, "lint"))
		return flag(eq + 1, rest, &d->lint);
	if (is(s, name, "tracebacklabels"))
		return flag_off(eq + 1, rest, &d->no_traceback_labels);
	if (is(s, name, "nomembarrier"))
		return flag(eq + 1, rest, &d->nomembarrier);
	if (is(s, name, "poller"))
		return flag(eq + 1, rest, &d->poller);
	if (is(s, name, "leaksearch"))
		return number(eq + 1, rest, &d->leak_search_ms);
	if (is(s, name, "traceadvanceperiod"))
		return number(eq + 1, rest, &d->trace_period_ns);
	if (is(s, name, "guard"))
		return guard(eq + 1, rest, d);
	return false;
}

void
wf_debug_parse(const char *text, struct wf_debug *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->leak_search_ms = LEAK_SEARCH_MS;
	for (const char *s = text; s != NULL && *s != '\0';) {
		size_t n = strcspn(s, ",");

		if (n != 0 && !item(s, n, ret))
			warn(s, n);
		s += n;
		if (*s == ',')
			s++;
	}
}
