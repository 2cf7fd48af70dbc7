/*
 * Scopes: structured concurrency and cancellation. A scope is a node of a tree:
 * cancelling it cancels all scopes below it, and ends every wait of the goroutines
 * in them with -ECANCELED. (Go: context and errgroup in one.)
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/chan.h>

WEFT_BEGIN_DECLS

typedef struct weft_scope weft_scope;

/**
 * weft_scope_new - make a scope
 * @parent:   NULL = the caller's scope; the parent must outlive it
 * @deadline: when it is cancelled with -ETIMEDOUT by itself; WEFT_FOREVER never
 *
 * Returns NULL when out of memory. Free it with weft_scope_free(). In a cancelled
 * parent it is born cancelled.
 */
WEFT_API weft_scope *weft_scope_new(weft_scope *parent, int64_t deadline);

/**
 * weft_scope_go - start a goroutine in the scope
 *
 * The first non-zero result of any of them cancels the scope with it. Returns 0,
 * -ENOMEM, -EAGAIN, or -ECANCELED when the scope is already cancelled (@fn is not
 * called then). What it starts with plain weft_go() belongs to the root: nobody
 * would wait for it.
 *
 * Blocking: never, unless the scope has a limit: then until there is a place.
 */
WEFT_API int weft_scope_go(weft_scope *s, int (*fn)(void *), void *arg);

/**
 * weft_scope_go_until - as weft_scope_go(), if there is a place in time
 *
 * At the limit of the scope it waits for one of its goroutines to end, first come, first
 * served. Also returns -ETIMEDOUT, and -ECANCELED when the caller's own scope is cancelled.
 * WEFT_NOW only tries (Go: errgroup's TryGo).
 */
WEFT_API int weft_scope_go_until(weft_scope *s, int (*fn)(void *), void *arg, int64_t deadline);

/**
 * weft_scope_set_limit - no more than @n goroutines of the scope at the same time
 * @n: 0 lets none start, < 0 is no limit, as at first
 *
 * Panics while the scope has goroutines. (Go: errgroup's SetLimit.)
 */
WEFT_API void weft_scope_set_limit(weft_scope *s, int64_t n);

/**
 * weft_scope_cancel - cancel the scope and all below it, before it returns
 * @cause: a negative errno, kept for weft_scope_cause(); 0 is -ECANCELED. The first
 *         cancel wins. > 0 is a panic
 *
 * However many goroutines and scopes that are, nobody else is held up by it for long.
 */
WEFT_API void weft_scope_cancel(weft_scope *s, int cause);

/**
 * weft_scope_wait - wait until all its goroutines have ended
 *
 * Returns the first non-zero result, 0, or -ETIMEDOUT (they still run). The wait
 * itself ends with -ECANCELED only if the caller's own scope is cancelled.
 */
WEFT_API int weft_scope_wait(weft_scope *s, int64_t deadline);

/** weft_scope_err - 0, -ECANCELED, or -ETIMEDOUT when its deadline passed. */
WEFT_API int weft_scope_err(const weft_scope *s);
/** weft_scope_cause - what the first cancel said; 0 when not cancelled. */
WEFT_API int weft_scope_cause(const weft_scope *s);
/** weft_scope_done - a channel closed when the scope is cancelled; borrowed. NULL:
 * out of memory, or @s is NULL, the root. */
WEFT_API weft_chan *weft_scope_done(weft_scope *s);
/** weft_scope_current - the caller's scope; NULL = the root, never cancelled. */
WEFT_API weft_scope *weft_scope_current(void);
/** weft_scope_free - cancels it, waits for its goroutines, frees it. NULL is allowed.
 * Panics in a goroutine of the scope, for which it would wait. A weft_scope_cancel() whose
 * effect the caller has seen may still be on its way. */
WEFT_API void weft_scope_free(weft_scope *s);

/**
 * weft_scope_set - keep a value under @key, seen by this scope and those below it
 *
 * Keys are compared by address. Returns 0 or -ENOMEM. weft_scope_get() finds the
 * nearest value, or NULL; its @s NULL is the root, which has none.
 */
WEFT_API int weft_scope_set(weft_scope *s, const void *key, void *value);
WEFT_API void *weft_scope_get(const weft_scope *s, const void *key);

WEFT_END_DECLS

#endif /* WEFT_SCOPE_H */
