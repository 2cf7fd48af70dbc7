/*
 * Every function and type that programs outside this repository rely on, with its exact type.
 * Compiled as C11 and as C++17 and linked against each library by contract.sh. If it fails,
 * programs that were written against the contract no longer build.
 */
#include <weft.h>

#include <netdb.h>
#include <stdio.h>

#ifdef __cplusplus
#define HOLDS(cond) static_assert(cond, #cond)
#else
#define HOLDS(cond) _Static_assert(cond, #cond)
#endif

HOLDS(sizeof(weft_mutex) <= 16);
HOLDS(sizeof(weft_waitgroup) <= 16);
HOLDS(WEFT_FOREVER == INT64_MAX);
HOLDS(WEFT_NOW == 0);
HOLDS(sizeof(WEFT_NOW) == 8);

/* The struct tags and the typedefs are the same types. */
extern struct weft_chan *tag_chan;
extern weft_chan *tag_chan;
extern struct weft_scope *tag_scope;
extern weft_scope *tag_scope;
extern struct weft_timer *tag_timer;
extern weft_timer *tag_timer;
extern struct weft_mutex *tag_mutex;
extern weft_mutex *tag_mutex;
extern struct weft_rwmutex *tag_rwmutex;
extern weft_rwmutex *tag_rwmutex;
extern struct weft_cond *tag_cond;
extern weft_cond *tag_cond;
extern struct weft_waitgroup *tag_waitgroup;
extern weft_waitgroup *tag_waitgroup;
extern struct weft_once *tag_once;
extern weft_once *tag_once;
extern struct weft_sem *tag_sem;
extern weft_sem *tag_sem;
extern struct weft_case *tag_case;
extern weft_case *tag_case;
extern struct weft_go_options *tag_go_options;
extern weft_go_options *tag_go_options;

typedef void call(void *);
typedef int task(void *);

/* Assigning to a pointer of the contract's type fails to compile when the type differs. */
static int checked;
static void
use(const void *p)
{
	checked += p != 0;
}
#define FUNCTION(result, name, parameters) \
	do { \
		result (*f) parameters = name; \
		use((const void *)&f); \
		checked += f == 0 ? -1000 : 0; \
	} while (0)

static void
runtime(void)
{
	FUNCTION(int, weft_go, (call *, void *));
	FUNCTION(int, weft_go_with, (const weft_go_options *, call *, void *));
	FUNCTION(void, weft_yield, (void));
	FUNCTION(void, weft_goexit, (void));
	FUNCTION(uint64_t, weft_goid, (void));
	FUNCTION(int, weft_gomaxprocs, (int));
	FUNCTION(int, weft_numcpu, (void));
	FUNCTION(int, weft_numgoroutine, (void));
	FUNCTION(void, weft_lock_thread, (void));
	FUNCTION(void, weft_unlock_thread, (void));
	FUNCTION(void, weft_syscall_enter, (void));
	FUNCTION(void, weft_syscall_exit, (void));
	FUNCTION(int, weft_set_maxthreads, (int));
	FUNCTION(int64_t, weft_now, (void));
	FUNCTION(int64_t, weft_in, (int64_t));
	FUNCTION(int, weft_sleep, (int64_t));
	FUNCTION(void, weft_dump, (int));
	FUNCTION(void, weft_panic, (const char *, ...));
	FUNCTION(int, weft_try, (call *, void *, char *, size_t));
	FUNCTION(void, weft_defer, (call *, void *));
}

static void
channels(void)
{
	FUNCTION(weft_chan *, weft_chan_new, (size_t, size_t));
	FUNCTION(weft_chan *, weft_chan_ref, (weft_chan *));
	FUNCTION(void, weft_chan_unref, (weft_chan *));
	FUNCTION(int, weft_chan_send, (weft_chan *, const void *, int64_t));
	FUNCTION(int, weft_chan_recv, (weft_chan *, void *, int64_t));
	FUNCTION(void, weft_chan_close, (weft_chan *));
	FUNCTION(size_t, weft_chan_len, (const weft_chan *));
	FUNCTION(size_t, weft_chan_cap, (const weft_chan *));
	FUNCTION(int, weft_select, (weft_case *, size_t, int64_t));
}

static void
sync_types(void)
{
	FUNCTION(void, weft_mutex_lock, (weft_mutex *));
	FUNCTION(bool, weft_mutex_trylock, (weft_mutex *));
	FUNCTION(void, weft_mutex_unlock, (weft_mutex *));
	FUNCTION(int, weft_mutex_lock_until, (weft_mutex *, int64_t));
	FUNCTION(void, weft_rwmutex_lock, (weft_rwmutex *));
	FUNCTION(bool, weft_rwmutex_trylock, (weft_rwmutex *));
	FUNCTION(void, weft_rwmutex_unlock, (weft_rwmutex *));
	FUNCTION(void, weft_rwmutex_rlock, (weft_rwmutex *));
	FUNCTION(bool, weft_rwmutex_tryrlock, (weft_rwmutex *));
	FUNCTION(void, weft_rwmutex_runlock, (weft_rwmutex *));
	FUNCTION(void, weft_cond_signal, (weft_cond *));
	FUNCTION(void, weft_cond_broadcast, (weft_cond *));
	FUNCTION(int, weft_cond_wait, (weft_cond *, weft_mutex *, int64_t));
	FUNCTION(void, weft_waitgroup_add, (weft_waitgroup *, int));
	FUNCTION(void, weft_waitgroup_done, (weft_waitgroup *));
	FUNCTION(int, weft_waitgroup_wait, (weft_waitgroup *, int64_t));
	FUNCTION(int, weft_waitgroup_go, (weft_waitgroup *, call *, void *));
	FUNCTION(void, weft_once_do, (weft_once *, call *, void *));
	FUNCTION(void, weft_sem_init, (weft_sem *, int64_t));
	FUNCTION(int, weft_sem_acquire, (weft_sem *, int64_t, int64_t));
	FUNCTION(bool, weft_sem_tryacquire, (weft_sem *, int64_t));
	FUNCTION(void, weft_sem_release, (weft_sem *, int64_t));
}

static void
scopes_and_timers(void)
{
	FUNCTION(weft_scope *, weft_scope_new, (weft_scope *, int64_t));
	FUNCTION(int, weft_scope_go, (weft_scope *, task *, void *));
	FUNCTION(void, weft_scope_cancel, (weft_scope *, int));
	FUNCTION(int, weft_scope_wait, (weft_scope *, int64_t));
	FUNCTION(int, weft_scope_err, (const weft_scope *));
	FUNCTION(int, weft_scope_cause, (const weft_scope *));
	FUNCTION(weft_chan *, weft_scope_done, (weft_scope *));
	FUNCTION(weft_scope *, weft_scope_current, (void));
	FUNCTION(void, weft_scope_free, (weft_scope *));
	FUNCTION(int, weft_scope_set, (weft_scope *, const void *, void *));
	FUNCTION(void *, weft_scope_get, (const weft_scope *, const void *));
	FUNCTION(weft_timer *, weft_timer_new, (int64_t, int64_t, call *, void *));
	FUNCTION(weft_chan *, weft_timer_chan, (weft_timer *));
	FUNCTION(bool, weft_timer_stop, (weft_timer *));
	FUNCTION(bool, weft_timer_reset, (weft_timer *, int64_t, int64_t));
	FUNCTION(void, weft_timer_free, (weft_timer *));
}

static void
descriptors(void)
{
	typedef struct sockaddr addr;
	typedef struct addrinfo info;

	FUNCTION(ssize_t, weft_read, (int, void *, size_t, int64_t));
	FUNCTION(ssize_t, weft_write, (int, const void *, size_t, int64_t));
	FUNCTION(ssize_t, weft_readv, (int, const struct iovec *, int, int64_t));
	FUNCTION(ssize_t, weft_writev, (int, const struct iovec *, int, int64_t));
	FUNCTION(ssize_t, weft_recv, (int, void *, size_t, int, int64_t));
	FUNCTION(ssize_t, weft_send, (int, const void *, size_t, int, int64_t));
	FUNCTION(ssize_t, weft_recvfrom, (int, void *, size_t, int, addr *, socklen_t *, int64_t));
	FUNCTION(ssize_t, weft_sendto,
	    (int, const void *, size_t, int, const addr *, socklen_t, int64_t));
	FUNCTION(ssize_t, weft_recvmsg, (int, struct msghdr *, int, int64_t));
	FUNCTION(ssize_t, weft_sendmsg, (int, const struct msghdr *, int, int64_t));
	FUNCTION(ssize_t, weft_pread, (int, void *, size_t, off_t, int64_t));
	FUNCTION(ssize_t, weft_pwrite, (int, const void *, size_t, off_t, int64_t));
	FUNCTION(int, weft_accept, (int, addr *, socklen_t *, int64_t));
	FUNCTION(int, weft_connect, (int, const addr *, socklen_t, int64_t));
	FUNCTION(int, weft_poll, (int, short, int64_t));
	FUNCTION(int, weft_close, (int));
	FUNCTION(int, weft_listen, (const char *, const char *, int));
	FUNCTION(int, weft_dial, (const char *, const char *, int64_t));
	FUNCTION(int, weft_lookup, (const char *, const char *, const info *, info **, int64_t));
}

/* What the contract writes inside functions: initialisers and the macros of select. */
static void
shapes(weft_chan *chan, int *into, const int *from)
{
	weft_go_options options = {sizeof(options), "name", 65536, from, sizeof(*from)};
	weft_case cases[3] = {WEFT_SEND(chan, from), WEFT_RECV(chan, into), WEFT_RECV(chan, NULL)};
	weft_mutex mutex = {};

	use(&options);
	use(&mutex);
	use(&cases[0].chan);
	use(&cases[1].elem);
	checked += cases[0].op == cases[1].op ? -1000 : 0;
	checked += cases[2].res;
}

int
main(void)
{
	int number = 1;

	runtime();
	channels();
	sync_types();
	scopes_and_timers();
	descriptors();
	shapes(NULL, &number, &number);
	printf("%d\n", checked);
	return checked > 0 ? 0 : 1;
}
