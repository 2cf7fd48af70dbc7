/*
 * Channels with a type, for programs that want the compiler to check what goes in and out:
 *
 *   WEFT_CHAN_OF(int_chan, int)         defines the type int_chan and its functions, once a file
 *
 *   int_chan c = int_chan_new(10);      c.chan is the weft_chan; NULL: out of memory
 *   int_chan_send(c, 42, WEFT_FOREVER);
 *   int n;
 *   if (int_chan_recv(c, &n, WEFT_FOREVER) == 1) ...
 *
 * Every function is static inline and one call: the code is that of the plain call, instruction for
 * instruction (test/abi/typed.sh compares them). Results, blocking and ordering are those of the
 * plain calls (weft/chan.h). A value is copied, as in a plain assignment; in C++ the type must
 * be trivially copyable. Not part of <weft.h>: include it by name.
 */
#ifndef WEFT_TYPED_H
#define WEFT_TYPED_H

#include <weft/chan.h>

#ifdef __cplusplus
#define WEFT_TYPED_CHECK(type) \
	static_assert(__is_trivially_copyable(type), #type " can't be copied byte by byte")
#else
#define WEFT_TYPED_CHECK(type) _Static_assert(sizeof(type) > 0, #type " has no size")
#endif

/* A file need not use all of them. */
#define WEFT_TYPED_FN static inline __attribute__((unused))

/**
 * WEFT_CHAN_OF - define a channel of one type
 * @name: of the type, and the beginning of the names of its functions
 * @type: of the elements: complete, and no array
 *
 * name_of() gives a plain channel the type, which panics in no case: it is the caller's word that
 * its elements are of it. name_to() and name_from() are cases for weft_select().
 */
#define WEFT_CHAN_OF(name, type) \
	WEFT_TYPED_CHECK(type); \
	typedef struct name { \
		weft_chan *chan; \
	} name; \
	WEFT_TYPED_FN name name##_of(weft_chan *c) \
	{ \
		name typed; \
		typed.chan = c; \
		return typed; \
	} \
	WEFT_TYPED_FN name name##_new(size_t cap) \
	{ \
		return name##_of(weft_chan_new(sizeof(type), cap)); \
	} \
	WEFT_TYPED_FN name name##_ref(name c) \
	{ \
		return name##_of(weft_chan_ref(c.chan)); \
	} \
	WEFT_TYPED_FN void name##_unref(name c) \
	{ \
		weft_chan_unref(c.chan); \
	} \
	WEFT_TYPED_FN int name##_send(name c, type elem, int64_t deadline) \
	{ \
		return weft_chan_send(c.chan, &elem, deadline); \
	} \
	WEFT_TYPED_FN int name##_recv(name c, type *elem, int64_t deadline) \
	{ \
		return weft_chan_recv(c.chan, elem, deadline); \
	} \
	WEFT_TYPED_FN void name##_close(name c) \
	{ \
		weft_chan_close(c.chan); \
	} \
	WEFT_TYPED_FN size_t name##_len(name c) \
	{ \
		return weft_chan_len(c.chan); \
	} \
	WEFT_TYPED_FN size_t name##_cap(name c) \
	{ \
		return weft_chan_cap(c.chan); \
	} \
	WEFT_TYPED_FN weft_case name##_to(name c, const type *elem) \
	{ \
		return WEFT_SEND(c.chan, elem); \
	} \
	WEFT_TYPED_FN weft_case name##_from(name c, type *elem) \
	{ \
		return WEFT_RECV(c.chan, elem); \
	} \
	typedef int name##_needs_a_semicolon

#endif /* WEFT_TYPED_H */
