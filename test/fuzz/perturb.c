/*
 * For libFuzzer: WEFT_PERTURB. The input is its value, a NUL, and how long it takes from each hold
 * point to the next. The seed that is said is the one that was given, or the time; the same seed
 * decides the same; and no program stands still for more than half of its time.
 *
 * fuzz: -DWEFT_DEBUG_BUILD src/debug/perturb.c
 */
#include "debug/perturb.h"

#include "base/assert.h"
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAP_NS_MAX ((int64_t)5000000)	/* the longest */
#define LATE_NS ((int64_t)1000)		/* for which a nap lasts longer than was asked for */

enum { DECISIONS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

void (*wf_point_hook)(const char *name);

static const char *value;
static int64_t now = 1;
static int64_t napped;		/* since it has begun */
static char said[128];
static int saved, points;	/* errnos saved and not restored; calls of the hook before */

const char *
wf_os_getenv(const char *name)
{
	if (strcmp(name, "WEFT_PERTURB") != 0)
		abort();
	return value;
}

ssize_t
wf_os_write(int fd, const void *buf, size_t n)
{
	if (fd != 2 || n >= sizeof(said) || said[0] != '\0')
		abort();
	memcpy(said, buf, n);
	said[n] = '\0';
	return (ssize_t)n;
}

int64_t
wf_os_now(void)
{
	return now;
}

int
wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t is, int64_t until)
{
	(void)word;
	if (is != 0 || until <= now || until > now + NAP_NS_MAX)
		abort();
	napped += until + LATE_NS - now;
	now = until + LATE_NS;
	return -ETIMEDOUT;
}

void
wf_os_thread_yield(void)
{
	napped += LATE_NS;
	now += LATE_NS;
}

int
wf_os_errno_save(void)
{
	saved++;
	return 0;
}

void
wf_os_errno_restore(int e)
{
	(void)e;
	saved--;
}

static void
point_of_a_test(const char *name)
{
	if (strcmp(name, "here") != 0)
		abort();
	points++;
}

/* Says nothing, and sets nothing, if it is not set; returns the seed. */
static unsigned long long
begin(void)
{
	int64_t at = now;
	char again[sizeof(said)];
	unsigned long long seed;
	char *end;

	wf_point_hook = point_of_a_test;
	wf_perturb_hook = NULL;
	said[0] = '\0';
	napped = 0;
	wf_perturb_from_env();
	if (value == NULL || *value == '\0') {
		if (said[0] != '\0' || wf_perturb_hook != NULL || wf_point_hook != point_of_a_test)
			abort();
		return 0;
	}
	if (sscanf(said, "weft: WEFT_PERTURB=%llu\n", &seed) != 1 || seed == 0 ||
	    wf_perturb_hook == NULL || wf_point_hook == point_of_a_test)
		abort();
	(void)snprintf(again, sizeof(again), "weft: WEFT_PERTURB=%llu\n", seed);
	if (strcmp(said, again) != 0)
		abort();
	/* All of it is the number, or none of it counts. */
	errno = 0;
	if (strtoull(value, &end, 0) != 0 && *end == '\0')
		at = 0;
	if (at != 0 && seed != (unsigned long long)at)
		abort();
	if (value[0] >= '1' && value[0] <= '9' && strlen(value) < 20 &&
	    value[strspn(value, "0123456789")] == '\0' &&
	    strncmp(said + strlen("weft: WEFT_PERTURB="), value, strlen(value)) != 0)
		abort();
	return seed;
}

static void
decide(bool *decisions)
{
	for (int i = 0; i < DECISIONS; i++)
		decisions[i] = wf_perturb_hook(2);
}

/* Also when the first said the time, which is now the seed. */
static void
check_same_seed(unsigned long long seed)
{
	bool first[DECISIONS], second[DECISIONS];
	char text[32];

	decide(first);
	(void)snprintf(text, sizeof(text), "%llu", seed);
	value = text;
	if (begin() != seed)
		abort();
	decide(second);
	if (memcmp(first, second, sizeof(first)) != 0)
		abort();
}

static void
pass_points(const uint8_t *data, size_t n)
{
	int64_t begun = now;

	points = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t at, before = napped;

		at = now += (int64_t)data[i] * 1000;
		wf_point_hook("here");
		if (saved != 0 || (size_t)points != i + 1)
			abort();
		if (napped != before && 2 * before > at - begun)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *nul = n == 0 ? NULL : memchr(data, '\0', n);
	size_t len = nul == NULL ? n : (size_t)(nul - data);
	char *text = malloc(len + 1);
	unsigned long long seed;

	memcpy(text, data, len);
	text[len] = '\0';
	value = text;
	seed = begin();
	if (seed != 0) {
		check_same_seed(seed);
		if (nul != NULL)
			pass_points(nul + 1, n - len - 1);
	}
	free(text);
	return 0;
}
