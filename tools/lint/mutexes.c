/*
 * libweft-lint: which pthread mutexes are held, and by whose stack. `weft run --lint` loads it
 * before a program (LD_PRELOAD), where its functions stand for libc's; the runtime in the program
 * then asks weft_lint_mutex_held() before a goroutine waits.
 *
 * A mutex belongs to a thread, a goroutine to none. So what is kept of a lock is where its caller's
 * frame lies: that is in the stack of one goroutine, whatever thread it runs on.
 */
#define _GNU_SOURCE
#include "base/atomic.h"
#include "base/compiler.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#define HELD_MAX 4096	/* at a time, in the process; more are not known */
#define PAGE_MAX 65536	/* of any processor that weft knows */
#define EXPORTED __attribute__((visibility("default")))

/*
 * L1: whoever sets lock from 0 has the rest until it is 0 again; acquire -> release. In pages of
 * its own, which a child of fork(2) gets empty: who had the lock is not there.
 */
static struct {
	_Alignas(PAGE_MAX) _Atomic uint32_t lock;
	size_t n;
	struct {
		const void *mutex;
		uintptr_t frame;
	} of[HELD_MAX];
} held;

static void
take(void)
{
	while (wf_xchg_acquire(&held.lock, 1u) != 0)			/* L1 */
		(void)sched_yield();
}

static void
give(void)
{
	wf_store_release(&held.lock, 0u);				/* L1 */
}

static void
add(const void *mutex, const void *frame)
{
	take();
	if (held.n < HELD_MAX) {
		held.of[held.n].mutex = mutex;
		held.of[held.n].frame = (uintptr_t)frame;
		held.n++;
	}
	give();
}

/* Of a recursive one the newest. */
static void
drop(const void *mutex)
{
	take();
	for (size_t i = held.n; i-- > 0;) {
		if (held.of[i].mutex != mutex)
			continue;
		held.of[i] = held.of[--held.n];
		break;
	}
	give();
}

EXPORTED const void *weft_lint_mutex_held(uintptr_t lo, uintptr_t hi);
EXPORTED const void *
weft_lint_mutex_held(uintptr_t lo, uintptr_t hi)
{
	const void *found = NULL;

	take();
	for (size_t i = 0; i < held.n && found == NULL; i++)
		if (held.of[i].frame >= lo && held.of[i].frame < hi)
			found = held.of[i].mutex;
	give();
	return found;
}

/* ---- in libc's place ---- */

static int (*real_lock)(pthread_mutex_t *), (*real_trylock)(pthread_mutex_t *);
static int (*real_timedlock)(pthread_mutex_t *, const struct timespec *);
static int (*real_clocklock)(pthread_mutex_t *, clockid_t, const struct timespec *);
static int (*real_unlock)(pthread_mutex_t *);

/* Other libraries' constructors may lock, so ours may not be the first to need these. */
static void
find(void *to, const char *name)
{
	*(void **)to = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void
find_all(void)
{
	find(&real_lock, "pthread_mutex_lock");
	find(&real_trylock, "pthread_mutex_trylock");
	find(&real_timedlock, "pthread_mutex_timedlock");
	find(&real_clocklock, "pthread_mutex_clocklock");
	find(&real_unlock, "pthread_mutex_unlock");
	(void)madvise(&held, sizeof(held), MADV_WIPEONFORK);
}

/* EOWNERDEAD is held as well. */
static int
locked(int r, const void *mutex, const void *frame)
{
	if (r == 0 || r == EOWNERDEAD)
		add(mutex, frame);
	return r;
}

EXPORTED int
pthread_mutex_lock(pthread_mutex_t *m)
{
	if (real_lock == NULL)
		find_all();
	return locked(real_lock(m), m, __builtin_frame_address(0));
}

EXPORTED int
pthread_mutex_trylock(pthread_mutex_t *m)
{
	if (real_trylock == NULL)
		find_all();
	return locked(real_trylock(m), m, __builtin_frame_address(0));
}

EXPORTED int
pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *until)
{
	if (real_timedlock == NULL)
		find_all();
	return locked(real_timedlock(m, until), m, __builtin_frame_address(0));
}

EXPORTED int
pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, const struct timespec *until)
{
	if (real_clocklock == NULL)
		find_all();
	return locked(real_clocklock(m, clock, until), m, __builtin_frame_address(0));
}

EXPORTED int
pthread_mutex_unlock(pthread_mutex_t *m)
{
	if (real_unlock == NULL)
		find_all();
	drop(m);
	return real_unlock(m);
}
