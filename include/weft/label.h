/*
 * Labels: what a goroutine works for, said by the program. (Go: runtime/pprof labels.)
 *
 * A label is a key and a value, both text. Those of a goroutine are shown with its stack in dumps
 * and with its name in execution traces, and are tags of its samples in the profiles "goroutine",
 * "leak" and of CPU time. Goroutines that it starts afterwards begin with the same ones; what
 * either changes later, the other does not see. Those of timers, which nobody starts, begin with
 * none.
 */
#ifndef WEFT_LABEL_H
#define WEFT_LABEL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

#define WEFT_LABELS_MAX 16		/* of a goroutine */
#define WEFT_LABEL_KEY_BYTES 63		/* the longest key, without its NUL */
#define WEFT_LABEL_VALUE_BYTES 127	/* the longest value */

/**
 * weft_label_set - give the calling goroutine a label, or take one away
 * @key:   copied; 1 to WEFT_LABEL_KEY_BYTES bytes
 * @value: copied; at most WEFT_LABEL_VALUE_BYTES bytes; replaces the one that @key has. NULL: @key
 *         has none from now on, and needs none now
 *
 * Returns 0, -EINVAL (@key is NULL or empty, @key or @value is too long or has a control character,
 *   or there are WEFT_LABELS_MAX others already), -ENOMEM. On failure nothing has changed.
 * Blocking: never. Context: goroutine or any thread; not a signal handler.
 * Costs: memory for all labels of the goroutine anew, shared with those that inherit them; also to
 *   take one away.
 */
WEFT_API int weft_label_set(const char *key, const char *value);

/**
 * weft_label - the value that @key has in the calling goroutine
 *
 * Returns NULL for none. Borrowed: the text stays until the goroutine changes any of its labels or
 * ends, so who wants it longer, or in another goroutine, copies it.
 * Blocking: never. Context: goroutine or any thread; not a signal handler.
 */
WEFT_API const char *weft_label(const char *key);

/**
 * weft_label_do - call @fn(@arg) with a label more (Go: pprof.Do)
 * @fn: NULL is a panic
 *
 * As weft_label_set() before the call. Afterwards the labels of the goroutine are what they were
 * before, whatever @fn did with them, also when it panics or calls weft_goexit().
 *
 * Returns 0, or what weft_label_set() would; then @fn was not called.
 * Blocking: as @fn does. Context: goroutine or any thread; not a signal handler.
 */
WEFT_API int weft_label_do(const char *key, const char *value, void (*fn)(void *), void *arg);

WEFT_END_DECLS

#endif /* WEFT_LABEL_H */
