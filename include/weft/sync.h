/*
 * Locks and counters that park the goroutine, not its thread.
 *
 * Zero is ready: every type here may be zero-initialised and needs no destroy
 * call. All work between goroutines and plain threads. The insides are weft's;
 * a value must not be copied or moved once it has been used.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_mutex { uint64_t weft_priv[2]; } weft_mutex;
typedef struct weft_rwmutex { uint64_t weft_priv[7]; } weft_rwmutex;
typedef struct weft_cond { uint64_t weft_priv[3]; } weft_cond;
typedef struct weft_waitgroup { uint64_t weft_priv[2]; } weft_waitgroup;
typedef struct weft_once { uint64_t weft_priv[2]; } weft_once;
typedef struct weft_sem { uint64_t weft_priv[4]; } weft_sem;

/**
 * weft_mutex_lock - lock; waits in turn
 *
 * Not recursive and not owned: any goroutine may unlock. A waiter that was passed
 * over for 1 ms is handed the lock next (Go's starvation mode). Not cancellable.
 * Unlock of an unlocked mutex is fatal ("sync: unlock of unlocked mutex").
 */
WEFT_API void weft_mutex_lock(weft_mutex *m);
WEFT_API bool weft_mutex_trylock(weft_mutex *m);
WEFT_API void weft_mutex_unlock(weft_mutex *m);
/** weft_mutex_lock_until - 0 locked, -ETIMEDOUT. */
WEFT_API int weft_mutex_lock_until(weft_mutex *m, int64_t deadline);

/**
 * weft_rwmutex - many readers or one writer; a waiting writer keeps new readers
 * out, so a read lock must not be taken twice by one goroutine. Misuse is fatal; one
 * runlock too many is noticed at once, or by the next writer. Reads that no write comes
 * between share no cache line; the first write after many pays for that, by about 1 us.
 */
WEFT_API void weft_rwmutex_lock(weft_rwmutex *m);
WEFT_API bool weft_rwmutex_trylock(weft_rwmutex *m);
WEFT_API void weft_rwmutex_unlock(weft_rwmutex *m);
WEFT_API void weft_rwmutex_rlock(weft_rwmutex *m);
WEFT_API bool weft_rwmutex_tryrlock(weft_rwmutex *m);
WEFT_API void weft_rwmutex_runlock(weft_rwmutex *m);

/**
 * weft_cond_wait - wait for a signal that is sent after this call began
 *
 * Unlocks @m, waits, locks @m again on every return. First come, first served, no
 * spurious wake-ups. All that wait at the same time must do so with the same @m: else a panic, and
 * @m is still locked. Returns 0, -ETIMEDOUT, -ECANCELED.
 */
WEFT_API int weft_cond_wait(weft_cond *c, weft_mutex *m, int64_t deadline);
WEFT_API void weft_cond_signal(weft_cond *c);
WEFT_API void weft_cond_broadcast(weft_cond *c);

/**
 * weft_waitgroup_add - change the counter by @delta; at 0 all waiters go on
 *
 * Below zero is a panic ("sync: negative WaitGroup counter").
 */
WEFT_API void weft_waitgroup_add(weft_waitgroup *w, int delta);
WEFT_API void weft_waitgroup_done(weft_waitgroup *w);
/** weft_waitgroup_wait - until the counter is 0: 0, -ETIMEDOUT, -ECANCELED. */
WEFT_API int weft_waitgroup_wait(weft_waitgroup *w, int64_t deadline);
/** weft_waitgroup_go - add 1, run @fn in a goroutine, done when it ends. As weft_go(). */
WEFT_API int weft_waitgroup_go(weft_waitgroup *w, void (*fn)(void *), void *arg);

/**
 * weft_once_do - call @fn if no call for @o did before
 *
 * Returns when the one call has ended, whoever made it. A panic in it reaches its
 * caller and counts as done.
 */
#define WEFT_ONCE_DONE 2	/* its first word then */
WEFT_API void weft_once_do(weft_once *o, void (*fn)(void *), void *arg);

/**
 * weft_sem - a weighted semaphore, strictly first come, first served
 *
 * A zero weft_sem has no permits; weft_sem_init() sets them and must come before any
 * other use. acquire: 0, -ETIMEDOUT, -ECANCELED; @n larger than all permits waits
 * for its deadline without holding up the others. Releasing more than was acquired
 * panics ("semaphore: released more than held"); a negative @n panics.
 */
WEFT_API void weft_sem_init(weft_sem *s, int64_t permits);
WEFT_API int weft_sem_acquire(weft_sem *s, int64_t n, int64_t deadline);
WEFT_API bool weft_sem_tryacquire(weft_sem *s, int64_t n);
WEFT_API void weft_sem_release(weft_sem *s, int64_t n);

/*
 * The part of some calls that meets nobody, in the caller. What it knows of the first words of a
 * mutex, a waitgroup and a once is ABI: it stays as long as the library's SONAME. The library
 * exports all the same, and does the same in them; WEFT_NO_INLINE leaves this out.
 */
#ifndef WEFT_NO_INLINE
#if defined(__SANITIZE_THREAD__)
#define WEFT_NO_INLINE
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_NO_INLINE
#endif
#endif
#endif

#ifndef WEFT_NO_INLINE

#define WEFT_INLINE extern inline __attribute__((gnu_inline, always_inline))
#define WEFT_WORDS(object) ((weft_word *)(void *)(object)->weft_priv)

typedef uint32_t weft_word __attribute__((may_alias));

/* The exported ones, by names that are not inlined. */
bool WEFT_mutex_trylock(weft_mutex *m) __asm__("weft_mutex_trylock");
int WEFT_waitgroup_wait(weft_waitgroup *w, int64_t deadline) __asm__("weft_waitgroup_wait");
void WEFT_once_do(weft_once *o, void (*fn)(void *), void *arg) __asm__("weft_once_do");

/* Bit 0 of a mutex's first word: somebody has it. */
WEFT_INLINE bool
weft_mutex_trylock(weft_mutex *m)
{
	if ((__atomic_load_n(&WEFT_WORDS(m)[0], __ATOMIC_RELAXED) & 1) != 0)
		return false;
	return WEFT_mutex_trylock(m);
}

WEFT_INLINE int
weft_waitgroup_wait(weft_waitgroup *w, int64_t deadline)
{
	if (__atomic_load_n(&WEFT_WORDS(w)[0], __ATOMIC_ACQUIRE) == 0
	    && __atomic_load_n(&WEFT_WORDS(w)[1], __ATOMIC_ACQUIRE) == 0)
		return 0;
	return WEFT_waitgroup_wait(w, deadline);
}

WEFT_INLINE void
weft_once_do(weft_once *o, void (*fn)(void *), void *arg)
{
	if (__atomic_load_n(&WEFT_WORDS(o)[0], __ATOMIC_ACQUIRE) != WEFT_ONCE_DONE)
		WEFT_once_do(o, fn, arg);
}

#endif /* WEFT_NO_INLINE */

WEFT_END_DECLS

#endif /* WEFT_SYNC_H */
