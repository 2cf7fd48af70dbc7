/*
 * libweft-lint: which mutexes and rwlocks of libc are held, and by whose stack. `weft run --lint`
 * loads it before a program (LD_PRELOAD), where its functions stand for libc's; the runtime in the
 * program then asks weft_lint_lock_held() before a goroutine waits.
 *
 * A lock belongs to a thread, a goroutine to none. So what is kept of a lock is where its caller's
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
#include <threads.h>
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
	struct entry {
		const void *lock;
		const char *kind;	/* as a report names it */
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
add(const void *lock, const char *kind, const void *frame)
{
	take();
	if (held.n < HELD_MAX)
		held.of[held.n++] = (struct entry){lock, kind, (uintptr_t)frame};
	give();
}

static uintptr_t
apart(uintptr_t a, uintptr_t b)
{
	return a > b ? a - b : b - a;
}

/* Many may hold an rwlock: who unlocks it is the one whose frame is nearest. */
static void
drop(const void *lock, const void *frame)
{
	struct entry *found = NULL;

	take();
	for (size_t i = 0; i < held.n; i++) {
		struct entry *e = &held.of[i];

		if (e->lock == lock && (found == NULL || apart(e->frame, (uintptr_t)frame) <=
		    apart(found->frame, (uintptr_t)frame)))
			found = e;
	}
	if (found != NULL)
		*found = held.of[--held.n];
	give();
}

EXPORTED const void *weft_lint_lock_held(uintptr_t lo, uintptr_t hi, const char **ret_kind);
EXPORTED const void *
weft_lint_lock_held(uintptr_t lo, uintptr_t hi, const char **ret_kind)
{
	const void *found = NULL;

	take();
	for (size_t i = 0; i < held.n && found == NULL; i++) {
		if (held.of[i].frame < lo || held.of[i].frame >= hi)
			continue;
		found = held.of[i].lock;
		*ret_kind = held.of[i].kind;
	}
	give();
	return found;
}

/* ---- in libc's place ---- */

#define MUTEX "pthread mutex"
#define RWLOCK "pthread rwlock"
#define MTX "mtx_t"

/*
 * X(name, kind, parameters, arguments), of which the lock is l. All say 0 if they have locked, or
 * EOWNERDEAD. What libc calls by itself (mtx_lock() calls pthread_mutex_lock()) does not come here.
 */
#define LOCKS(X) \
	X(pthread_mutex_lock, MUTEX, (pthread_mutex_t *l), (l)) \
	X(pthread_mutex_trylock, MUTEX, (pthread_mutex_t *l), (l)) \
	X(pthread_mutex_timedlock, MUTEX, (pthread_mutex_t *l, const struct timespec *t), (l, t)) \
	X(pthread_mutex_clocklock, MUTEX, \
	    (pthread_mutex_t *l, clockid_t c, const struct timespec *t), (l, c, t)) \
	X(pthread_rwlock_rdlock, RWLOCK, (pthread_rwlock_t *l), (l)) \
	X(pthread_rwlock_tryrdlock, RWLOCK, (pthread_rwlock_t *l), (l)) \
	X(pthread_rwlock_timedrdlock, RWLOCK, \
	    (pthread_rwlock_t *l, const struct timespec *t), (l, t)) \
	X(pthread_rwlock_clockrdlock, RWLOCK, \
	    (pthread_rwlock_t *l, clockid_t c, const struct timespec *t), (l, c, t)) \
	X(pthread_rwlock_wrlock, RWLOCK, (pthread_rwlock_t *l), (l)) \
	X(pthread_rwlock_trywrlock, RWLOCK, (pthread_rwlock_t *l), (l)) \
	X(pthread_rwlock_timedwrlock, RWLOCK, \
	    (pthread_rwlock_t *l, const struct timespec *t), (l, t)) \
	X(pthread_rwlock_clockwrlock, RWLOCK, \
	    (pthread_rwlock_t *l, clockid_t c, const struct timespec *t), (l, c, t)) \
	X(mtx_lock, MTX, (mtx_t *l), (l)) \
	X(mtx_trylock, MTX, (mtx_t *l), (l)) \
	X(mtx_timedlock, MTX, (mtx_t *l, const struct timespec *t), (l, t))
#define UNLOCKS(X) \
	X(pthread_mutex_unlock, , (pthread_mutex_t *l), (l)) \
	X(pthread_rwlock_unlock, , (pthread_rwlock_t *l), (l)) \
	X(mtx_unlock, , (mtx_t *l), (l))

#define REAL(name, kind, parameters, arguments) static int(*real_##name) parameters;
LOCKS(REAL)
UNLOCKS(REAL)

/* Other libraries' constructors may lock, so ours may not be the first to need these. */
static void
find(void *to, const char *name)
{
	*(void **)to = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void
find_all(void)
{
#define FIND(name, kind, parameters, arguments) find(&real_##name, #name);
	LOCKS(FIND)
	UNLOCKS(FIND)
	(void)madvise(&held, sizeof(held), MADV_WIPEONFORK);
}

_Static_assert(thrd_success == 0, "as the others");

#define LOCK(name, kind, parameters, arguments) \
	EXPORTED int name parameters \
	{ \
		int r; \
\
		if (real_##name == NULL) \
			find_all(); \
		r = real_##name arguments; \
		if (r == 0 || r == EOWNERDEAD) \
			add(l, kind, __builtin_frame_address(0)); \
		return r; \
	}
#define UNLOCK(name, kind, parameters, arguments) \
	EXPORTED int name parameters \
	{ \
		if (real_##name == NULL) \
			find_all(); \
		drop(l, __builtin_frame_address(0)); \
		return real_##name arguments; \
	}

LOCKS(LOCK)
UNLOCKS(UNLOCK)
