/*
 * Goroutines and the processors that run them.
 *
 * No set-up call is needed: the first weft call of a process starts the runtime
 * and turns the calling thread into goroutine 1, "main". When main returns, the
 * process ends, whatever goroutines still run.
 */
#ifndef WEFT_GO_H
#define WEFT_GO_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/**
 * WEFT_STACK_SMALL - the least stack_size, for many goroutines that do little but wait
 *
 * 2 KiB, two to a page: parked, such a goroutine costs 2.3 KB and not 4.9 KB. That is
 * enough for channels, locks, sleeps, reads, writes and small functions of your own; not
 * for stdio, panics, other libraries, or signal handlers without SA_ONSTACK. There is no
 * guard page: an overflow hurts a neighbour, and mostly ends the program when the goroutine
 * next parks, yields or ends. A trace or a profile of waits takes 0.6 KiB of it. In a program
 * that is not linked with -z now, whose first call of each library function takes 3 KB, and
 * under sanitizers and with lints, it is 16 KiB with a guard; a library that is linked
 * otherwise is not seen.
 */
#define WEFT_STACK_SMALL 2048

/**
 * weft_go_options - how a goroutine is started
 *
 * Zero means the default everywhere. Set size to sizeof(weft_go_options): it is
 * the version of the struct, so that programs built today run with the weft of
 * tomorrow.
 */
typedef struct weft_go_options {
	size_t size;		/* sizeof(weft_go_options) */
	const char *name;	/* shown in dumps and traces; copied, at most 31 bytes kept */
	size_t stack_size;	/* bytes of address space, or WEFT_STACK_SMALL; 0 = the default */
	const void *copy;	/* if set: copy_size bytes are copied, and fn gets */
	size_t copy_size;	/* the goroutine's own copy as its arg */
} weft_go_options;

/**
 * weft_go - start a goroutine
 * @fn:  what it runs; NULL is fatal ("go of nil func value")
 * @arg: given to @fn; stays the caller's
 *
 * The goroutine ends when @fn returns. There is nothing to join or to free: wait
 * for it with a weft_waitgroup, a channel or a weft_scope. No stack is attached
 * before it first runs.
 *
 * Returns 0, -ENOMEM (no memory for the goroutine, or others that were promised to
 *   run wait for a stack already), -EAGAIN (no thread could be started to run it).
 *   On failure @fn is not called.
 * Blocking: never; when 512 goroutines wait for the caller's processor they run first.
 * Ordering: what came before weft_go happens before @fn.
 * Context: goroutine or any thread; not a signal handler.
 */
WEFT_API int weft_go(void (*fn)(void *), void *arg);

/**
 * weft_go_with - start a goroutine with options
 * @o: borrowed for the call; NULL is the same as weft_go()
 *
 * As weft_go(); also -EINVAL when @o->size is 0 or @o->stack_size is larger than
 * 1 GiB. With @o->copy, @arg is ignored and @fn gets a copy that lives until it ends.
 */
WEFT_API int weft_go_with(const weft_go_options *o, void (*fn)(void *), void *arg);

/**
 * weft_yield - let other goroutines run (Go: runtime.Gosched)
 *
 * The caller stays runnable and goes behind the goroutines that wait for this
 * processor. On a thread that weft did not start it is sched_yield(2).
 */
WEFT_API void weft_yield(void);

/**
 * weft_goexit - end the calling goroutine
 *
 * Runs its deferred calls, last first, then ends it. Cannot be recovered. When
 * main calls it the other goroutines go on; when none is left the process dies of
 * "no goroutines (main called runtime.Goexit) - deadlock!". On a thread that weft
 * did not start it ends that thread.
 */
WEFT_API WEFT_NORETURN void weft_goexit(void);

/** weft_goid - the calling goroutine's id: main is 1, ids grow, none is reused. */
WEFT_API uint64_t weft_goid(void);

/**
 * weft_gomaxprocs - set how many goroutines may run at the same time
 * @n: 1..1024, more is cut to 1024; < 1 only asks
 *
 * Returns the setting before. Processors are added at once and taken away one by
 * one as their threads pass through the scheduler (at most about 10 ms when they
 * compute); no runnable goroutine and no timer is lost, the world is not stopped.
 */
WEFT_API int weft_gomaxprocs(int n);

/** weft_numcpu - processors this process may use: affinity mask and cgroup quota. */
WEFT_API int weft_numcpu(void);

/** weft_numgoroutine - goroutines that exist now, main included. A snapshot. */
WEFT_API int weft_numgoroutine(void);

/**
 * weft_lock_thread - keep the goroutine on its thread, and others off it
 *
 * Nests: as many weft_unlock_thread() calls undo it; an extra one is ignored. A
 * goroutine that ends while locked takes its thread with it. Resuming a locked
 * goroutine costs a thread switch. (Go: LockOSThread.)
 */
WEFT_API void weft_lock_thread(void);
WEFT_API void weft_unlock_thread(void);

/**
 * weft_syscall_enter, weft_syscall_exit - around a call that is known to block
 *
 * A hint, never needed: weft finds blocked threads by itself within about a
 * millisecond; between these two calls it takes about 20 us. Between them no
 * other weft call may be made.
 */
WEFT_API void weft_syscall_enter(void);
WEFT_API void weft_syscall_exit(void);

/**
 * weft_set_maxthreads - the most threads weft may have (default 10000)
 * @n: < 1 only asks
 *
 * Returns the setting before. Needing one more is fatal, as in Go.
 */
WEFT_API int weft_set_maxthreads(int n);

WEFT_END_DECLS

#endif /* WEFT_GO_H */
