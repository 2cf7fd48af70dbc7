/*
 * Who holds which lock, in words that clang's thread safety analysis checks (-Wthread-safety, in
 * all builds by clang). To other compilers they are nothing.
 *
 * It looks at one function at a time. A lock that is taken must be given back, once, on every way
 * out; unless the function is said to take it, to give it back, or to be called with it. It knows a
 * lock by the expression that names it: one that is reached by two names is two locks to it. Names
 * of fields must be reachable from a parameter or a global variable, so in C it can be said of a
 * variable that a lock guards it, not of a field: those have a letter in a comment.
 */
#ifndef WEFT_BASE_GUARD_H
#define WEFT_BASE_GUARD_H

#if defined(__clang__)
#define WF_GUARD(attribute) __attribute__((attribute))
#else
#define WF_GUARD(attribute)
#endif

/* Of a struct: it is a lock. */
#define WF_IS_A_LOCK WF_GUARD(capability("lock"))
/* After a variable: it is read and written with the lock held. */
#define WF_GUARDED_BY(lock) WF_GUARD(guarded_by(lock))

/* After a function's parameters. The caller holds the locks, before and after. */
#define WF_HOLDS(...) WF_GUARD(requires_capability(__VA_ARGS__))
/* So it does, but they can't be named: said to the reader only, and which they are. */
#define WF_HOLDS_UNNAMED(which)
/* The function takes the lock, and returns with it. */
#define WF_TAKES(lock) WF_GUARD(acquire_capability(lock))
#define WF_TAKES_IF_TRUE(lock) WF_GUARD(try_acquire_capability(true, lock))
/* The caller holds it, and no more when the function returns. */
#define WF_GIVES_BACK(lock) WF_GUARD(release_capability(lock))
/* The caller does not hold it: the function takes it for a while. */
#define WF_MUST_NOT_HOLD(lock) WF_GUARD(locks_excluded(lock))

/*
 * Nothing is checked inside: a lock is handed over, above all to whoever runs next when a goroutine
 * parks, or has several names. The reason is for the reader. Callers are checked all the same.
 */
#define WF_HANDS_OVER(reason) WF_GUARD(no_thread_safety_analysis)

#endif /* WEFT_BASE_GUARD_H */
