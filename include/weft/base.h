/*
 * What every other public header needs: version, attributes, time, and the
 * conventions that all calls share.
 *
 * Results.    > 0 a count or a thing, 0 done or the end (closed, EOF), < 0 a
 *             negative errno. weft neither sets nor reads errno, because a
 *             goroutine may resume on another thread (docs/errno.md).
 * Time.       int64_t nanoseconds of CLOCK_MONOTONIC.
 * Deadlines.  Absolute, the last argument. WEFT_FOREVER never expires; WEFT_NOW
 *             and any past time never wait. What can go at once goes, even with
 *             a past deadline; else -ETIMEDOUT.
 * Cancel.     A wait of a goroutine whose scope is cancelled ends with
 *             -ECANCELED. Locks are not cancellable.
 * Misuse.     Is a panic or a fatal error with Go's words, never a return value.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0
#define WEFT_VERSION "0.1.0"

#define WEFT_FOREVER INT64_MAX
#define WEFT_NOW INT64_C(0)

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

#define WEFT_API __attribute__((visibility("default")))
#define WEFT_NORETURN __attribute__((noreturn))
#define WEFT_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define WEFT_MUST_USE __attribute__((warn_unused_result))

#endif /* WEFT_BASE_H */
