/*
 * The form of profiles that pprof reads, to the byte: numbers of fields, and how a protocol buffer
 * is written. Also for tools/. Source: github.com/google/pprof, proto/profile.proto.
 */
#ifndef WEFT_DEBUG_PPROF_H
#define WEFT_DEBUG_PPROF_H

#include "trace/encode.h"

#include <string.h>

/* Fields of Profile, and of what is in it. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6, PROFILE_TIME = 9, PROFILE_DURATION = 10, PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12, PROFILE_COMMENT = 13 };
enum { TYPE_TYPE = 1, TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2 };
enum { LOCATION_ID = 1, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_FILE = 4 };

/* What the number and the length of a field take at most. */
#define PPROF_HEAD_MAX ((size_t)2 * TRACE_VARINT_MAX)

/* Both return the byte after. */
static inline uint8_t *
pprof_put_number(uint8_t *at, unsigned field, uint64_t v)
{
	return trace_put_varint(trace_put_varint(at, field << 3), v);
}

static inline uint8_t *
pprof_put_bytes(uint8_t *at, unsigned field, const void *data, size_t n)
{
	at = trace_put_varint(trace_put_varint(at, field << 3 | 2), n);
	memcpy(at, data, n);
	return at + n;
}

#endif /* WEFT_DEBUG_PPROF_H */
