/*
 * What stands between the library and src/os in the programs of this folder: see inject.h. Each
 * function of calls.h is __wrap_wf_os_NAME here, and __real_wf_os_NAME is the one of src/os.
 */
#define _GNU_SOURCE
#include "inject.h"

#include "fds.h"
#include "os/os.h"
#include "test.h"

#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 6, HALF = -1, PLAIN = -2, SIGNAL = -3 };

enum id {
#define FAILS(type, name, ...) ID_##name,
#define HALVES(type, name, ...) ID_##name,
#define VECTOR(name, ...) ID_##name,
#define LATE(type, name, ...) ID_##name,
#define LACKS(type, name, ...) ID_##name,
#define NAMES(type, name, ...) ID_##name,
#define BLOCK(name, ...) ID_##name,
#define SIGNALLED(name, ...) ID_libc_##name,
#include "calls.h"
	IDS,
};

/* The ways of each: an errno, 0 for a wait that ends without cause, HALF, PLAIN, SIGNAL. */
#define WAYS_OF(name, ...) {#name, sizeof((int[]){__VA_ARGS__}) / sizeof(int), {__VA_ARGS__}},
#define FAILS(type, name, params, args, ...) WAYS_OF(name, __VA_ARGS__)
#define HALVES(type, name, params, args, n, ...) WAYS_OF(name, HALF, __VA_ARGS__)
#define VECTOR(name, params, args, ...) WAYS_OF(name, HALF, __VA_ARGS__)
#define LATE(type, name, params, args, ...) WAYS_OF(name, __VA_ARGS__)
#define LACKS(type, name, params, args, value) WAYS_OF(name, PLAIN)
#define NAMES(type, name, params, args) WAYS_OF(name, EAGAIN, ENOMEM)
#define BLOCK(name, params, args) WAYS_OF(name, PLAIN)
#define SIGNALLED(name, type, params, args) {#name "(2)", 1, {SIGNAL}},

static const struct {
	const char *name;
	size_t n;
	int way[WAYS];
} calls[IDS] = {
#include "calls.h"
};

/* ---- What is to fail ---- */

/* Set while nothing is armed; `armed` is set last, and the library's threads read it first. */
static _Atomic int armed = -1;		/* enum id, or -1 */
static _Atomic int made;		/* calls of it since then */
static _Atomic int victim, way;		/* which of them, and how */
static char note[128];

/* Shall this call fail? Then true and how. */
static bool
fails(enum id id, int *ret_how)
{
	if (atomic_load(&armed) != (int)id)
		return false;
	if (atomic_fetch_add(&made, 1) + 1 != atomic_load(&victim))
		return false;
	*ret_how = calls[id].way[atomic_load(&way)];
	return true;
}

static int
find(const char *function)
{
	for (int i = 0; i < IDS; i++)
		if (strcmp(calls[i].name, function) == 0)
			return i;
	FAIL("there is no %s in calls.h", function);
}

const char *
inject_name(int i)
{
	return i < IDS ? calls[i].name : NULL;
}

bool
inject_has(int i, int w)
{
	return (size_t)w < calls[i].n;
}

bool
inject_is_one_of(const char *name, const char *names)
{
	size_t n = strlen(name);

	for (const char *at = names; (at = strstr(at, name)) != NULL; at += n)
		if ((at == names || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

void
inject_arm(const char *function, int w, int k)
{
	int id = find(function), how = calls[id].way[w];

	snprintf(note, sizeof(note), "while call %d of %s %s%s\n", k, function,
	    how == HALF ? "does a part"
	    : how == SIGNAL ? "is interrupted"
	    : how == PLAIN || how == 0 ? "gives nothing" : "fails: ",
	    how > 0 ? strerror(how) : "");
	atomic_store(&made, 0);
	atomic_store(&victim, k);
	atomic_store(&way, w);
	atomic_store(&armed, id);
}

int
inject_disarm(void)
{
	atomic_store(&armed, -1);
	note[0] = '\0';
	return atomic_load(&made);
}

int
inject_made(const char *function)
{
	return atomic_load(&armed) == find(function) ? atomic_load(&made) : -1;
}

int
injected(void)
{
	int id = atomic_load(&armed), how;

	if (id < 0)
		return 0;
	how = calls[id].way[atomic_load(&way)];
	if (how == PLAIN)
		return -ENOMEM;
	return how > 0 ? -how : 0;
}

/* ---- In place of src/os ---- */

#define WRAP(type, name, params) \
	type __real_wf_os_##name params; \
	type __wrap_wf_os_##name params; \
	type __wrap_wf_os_##name params

#define FAILS(type, name, params, args, ...) \
	WRAP(type, name, params) \
	{ \
		int how; \
		return fails(ID_##name, &how) ? -how : __real_wf_os_##name args; \
	}
/* An eventfd takes and gives eight bytes or none. */
#define HALVES(type, name, params, args, n, ...) \
	WRAP(type, name, params) \
	{ \
		int how; \
		if (n > 8 && fails(ID_##name, &how)) { \
			if (how != HALF) \
				return -how; \
			n /= 2; \
		} \
		return __real_wf_os_##name args; \
	}
/* Of a vector half of the first piece. */
#define VECTOR(name, params, args, ...) \
	WRAP(ssize_t, name, params) \
	{ \
		int how; \
		struct iovec half; \
		if (n > 0 && v->iov_len > 1 && fails(ID_##name, &how)) { \
			if (how != HALF) \
				return -how; \
			half = (struct iovec){v->iov_base, v->iov_len / 2}; \
			v = &half; \
			n = 1; \
		} \
		return __real_wf_os_##name args; \
	}
#define LATE(type, name, params, args, ...) \
	WRAP(type, name, params) \
	{ \
		int how; \
		bool late = fails(ID_##name, &how); \
		type r = __real_wf_os_##name args; \
		return late ? -how : r; \
	}
#define LACKS(type, name, params, args, value) \
	WRAP(type, name, params) \
	{ \
		int how; \
		return fails(ID_##name, &how) ? value : __real_wf_os_##name args; \
	}
#define NAMES(type, name, params, args) \
	WRAP(type, name, params) \
	{ \
		int how; \
		if (!fails(ID_##name, &how)) \
			return __real_wf_os_##name args; \
		*ret_errno = -how; \
		return how == EAGAIN ? EAI_AGAIN : EAI_SYSTEM; \
	}
#define BLOCK(name, params, args) \
	void *__real_##name params; \
	void *__wrap_##name params; \
	void *__wrap_##name params \
	{ \
		int how; \
		return fails(ID_##name, &how) ? NULL : __real_##name args; \
	}
#define SIGNALLED(name, type, params, args) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		int how; \
		if (!fails(ID_libc_##name, &how)) \
			return __real_##name args; \
		errno = EINTR; \
		return -1; \
	}

#include "calls.h"

/* ---- How a test says what it was doing ---- */

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void __real_wf_os_exit(int status) __attribute__((noreturn));
void __wrap_wf_os_exit(int status) __attribute__((noreturn));

static void
say_what_failed(int status)
{
	atomic_store(&armed, -1);
	if (status != 0 && note[0] != '\0' && write(STDERR_FILENO, note, strlen(note)) < 0)
		return;
}

void
__wrap__exit(int status)
{
	say_what_failed(status);
	__real__exit(status);
}

void
__wrap_wf_os_exit(int status)
{
	say_what_failed(status);
	__real_wf_os_exit(status);
}

/* ---- The loop ---- */

enum { CALLS_MAX = 200, RUNS_MAX = 30 };

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t
allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

/* What threads keep of what they freed would count as allocated: malloc shall have no caches. */
static void __attribute__((constructor))
without_caches(int argc, char **argv)
{
	(void)argc;
	if (getenv("GLIBC_TUNABLES") != NULL)
		return;
	setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
	(void)execv("/proc/self/exe", argv);
}

int refuse_patience_ms = 60000;

/* What a goroutine that has just ended, or a child, gives back may come a little later. */
static void
expect_closed(int open)
{
	int64_t until = weft_in(refuse_patience_ms * INT64_C(1000000));

	while (open_fds() > open) {
		if (weft_now() > until)
			FAIL("%d descriptors are open, not %d", open_fds(), open);
		(void)weft_sleep(INT64_C(1000000));
	}
}

/*
 * One failure. Caches may have grown by it, which they do not do without end: if memory is lost, it
 * is with every run.
 */
static int
refuse_one(void (*scenario)(void), int i, int w, int k)
{
	int n = 0;

	for (int run = 0; run < RUNS_MAX; run++) {
		int open = open_fds();
		size_t before;

		inject_arm(calls[i].name, w, k);
		before = allocated();
		scenario();
		expect_closed(open);
		if (allocated() <= before)
			return inject_disarm();
		n = inject_disarm();
	}
	inject_arm(calls[i].name, w, k);
	FAIL("memory is lost with each run");
	return n;
}

static void
expect_reached(const int *refused, const char *reached)
{
	char names[1024], *at = names, *name;

	snprintf(names, sizeof(names), "%s", reached);
	while ((name = strsep(&at, " ")) != NULL) {
		char *one = name, *word;
		bool any = false;

		while ((word = strsep(&one, "|")) != NULL)
			any = any || refused[find(word)] != 0;
		if (!any)
			FAIL("no %s was refused", name);
	}
}

/* Those of libc, or the others. only: NULL: all of them. */
static void
refuse(void (*scenario)(void), bool of_libc, const char *only, const char *reached)
{
	static int refused[IDS];

	memset(refused, 0, sizeof(refused));	/* a test may have several of these */
	(void)mallopt(M_ARENA_MAX, 1);	/* whose bytes are counted */
	scenario();
	for (int i = 0; i < IDS; i++) {
		if ((calls[i].way[0] == SIGNAL) != of_libc)
			continue;
		if (only != NULL && !inject_is_one_of(calls[i].name, only))
			continue;
		for (int w = 0; (size_t)w < calls[i].n; w++) {
			for (int k = 1; k <= CALLS_MAX && refuse_one(scenario, i, w, k) >= k; k++)
				refused[i]++;
		}
		if (refused[i] != 0 && getenv("WEFT_FAULT_TELL") != NULL)
			fprintf(stderr, "%s: %d\n", calls[i].name, refused[i]);
	}
	expect_reached(refused, reached);
}

void
refuse_each(void (*scenario)(void), const char *reached)
{
	refuse(scenario, false, NULL, reached);
}

void
refuse_these(void (*scenario)(void), const char *functions)
{
	refuse(scenario, false, functions, functions);
}

void
interrupt_each(void (*scenario)(void), const char *reached)
{
	refuse(scenario, true, NULL, reached);
}
