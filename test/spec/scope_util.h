/*
 * What the tests of scopes share. Uses <weft.h> only.
 */
#ifndef WEFT_TEST_SPEC_SCOPE_UTIL_H
#define WEFT_TEST_SPEC_SCOPE_UTIL_H

#include "chan_util.h"

static inline weft_scope *
scope_make(weft_scope *parent)
{
	weft_scope *s = weft_scope_new(parent, WEFT_FOREVER);

	EXPECT(s != NULL);
	return s;
}

static inline void
scope_go(weft_scope *s, int (*fn)(void *), void *arg)
{
	EXPECT_EQ(weft_scope_go(s, fn, arg), 0);
}

static inline bool
is_closed(weft_chan *c)
{
	int r = weft_chan_recv(c, NULL, WEFT_NOW);

	EXPECT(r == 0 || r == -ETIMEDOUT);
	return r == 0;
}

static inline void
expect_live(weft_scope *s)
{
	EXPECT_EQ(weft_scope_err(s), 0);
	EXPECT_EQ(weft_scope_cause(s), 0);
	EXPECT(!is_closed(weft_scope_done(s)));
}

static inline void
expect_cancelled(weft_scope *s, int cause)
{
	EXPECT_EQ(weft_scope_err(s), -ECANCELED);
	EXPECT_EQ(weft_scope_cause(s), cause);
	EXPECT(is_closed(weft_scope_done(s)));
}

/* For weft_scope_go: returns when the channel is closed, or its scope cancelled. */
static inline int
wait_for_close(void *arg)
{
	return weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

#endif /* WEFT_TEST_SPEC_SCOPE_UTIL_H */
