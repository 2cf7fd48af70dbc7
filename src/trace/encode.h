/*
 * Go's execution trace, version 2, to the byte: numbers of events and states, and how integers are
 * written. README.md, "The format". Knows no goroutines and no threads.
 *
 * Source: the reader in Go 1.23, src/internal/trace; "go 1.22 trace" is what both it and newer
 * ones read.
 */
#ifndef WEFT_TRACE_ENCODE_H
#define WEFT_TRACE_ENCODE_H

#include "base/compiler.h"

#include <string.h>

#define TRACE_HEADER "go 1.22 trace\0\0"	/* and the literal's own zero: 16 bytes */
#define TRACE_HEADER_BYTES 16u
#define TRACE_UNITS_PER_S 1000000000u	/* times are nanoseconds */
#define TRACE_NO_THREAD UINT64_MAX	/* in the head of a batch */
#define TRACE_FRAMES_MAX 128u		/* what a reader takes */
#define TRACE_STRING_MAX 1024u

enum trace_event {
	EV_BATCH = 1,		/* generation, thread, time, bytes; then so many bytes */
	EV_STACKS = 2,		/* begins a batch of EV_STACK */
	EV_STACK = 3,		/* id, n, n times pc, function, file, line */
	EV_STRINGS = 4,		/* begins a batch of EV_STRING */
	EV_STRING = 5,		/* id, length, bytes */
	EV_CPU_SAMPLES = 6,
	EV_CPU_SAMPLE = 7,	/* time, thread, p, g, stack */
	EV_FREQUENCY = 8,	/* units per second */
	/* From here on each begins with the time since the one before in its batch. */
	EV_PROCS_CHANGE = 9,	/* n, stack */
	EV_PROC_START = 10,	/* p, seq */
	EV_PROC_STOP = 11,
	EV_PROC_STEAL = 12,	/* p, seq, thread it was taken from */
	EV_PROC_STATUS = 13,	/* p, state */
	EV_GO_CREATE = 14,	/* g, stack of its first frame, stack */
	EV_GO_START = 16,	/* g, seq */
	EV_GO_DESTROY = 17,
	EV_GO_STOP = 19,	/* reason, stack */
	EV_GO_BLOCK = 20,	/* reason, stack */
	EV_GO_UNBLOCK = 21,	/* g, seq, stack */
	EV_SYSCALL_BEGIN = 22,	/* seq of p, stack */
	EV_SYSCALL_END = 23,
	EV_SYSCALL_END_BLOCKED = 24,
	EV_GO_STATUS = 25,	/* g, thread, state */
	EV_GO_LABEL = 39,	/* label, of the goroutine that runs */
	EV_TASK_BEGIN = 40,	/* task, parent, name, stack */
	EV_TASK_END = 41,	/* task, stack */
	EV_REGION_BEGIN = 42,	/* task, name, stack */
	EV_REGION_END = 43,	/* task, name, stack */
	EV_LOG = 44,		/* task, key, value, stack */
};

/* What a status says of a goroutine. */
enum trace_g { TG_NONE, TG_RUNNABLE, TG_RUNNING, TG_SYSCALL, TG_WAITING };
/* And of a P. */
enum trace_p { TP_NONE, TP_RUNNING, TP_IDLE, TP_SYSCALL };

#define TRACE_VARINT_MAX 10u	/* so many bytes may be written, however few are used */

/*
 * Unsigned LEB128: seven bits a byte, the lowest first. Returns the byte after. What an event
 * mostly has takes one store: its bits are spread at once, not byte by byte.
 */
static inline uint8_t *
trace_put_varint(uint8_t *to, uint64_t v)
{
	if (v < (1u << 7)) {
		*to = (uint8_t)v;
		return to + 1;
	}
	if (v < (1u << 14)) {
		uint16_t two = (uint16_t)((v & 0x7f) | 0x80 | v >> 7 << 8);

		memcpy(to, &two, sizeof(two));
		return to + 2;
	}
	if (v < (1u << 28)) {
		bool is_long = v >= 1u << 21;
		uint32_t four = (uint32_t)((v & 0x7f) | (v << 1 & 0x7f00) | (v << 2 & 0x7f0000) |
		    (v << 3 & 0x7f000000) | 0x8080 | (uint32_t)is_long << 23);

		memcpy(to, &four, sizeof(four));
		return to + 3 + is_long;
	}
	for (; v >= 0x80; v >>= 7)
		*to++ = (uint8_t)(v | 0x80);
	*to++ = (uint8_t)v;
	return to;
}

/* One that is written again and again: its bytes, and above them how many. Of v < 2^49. */
struct trace_packed {
	uint64_t bytes;
};

#define TRACE_PACKED_MAX 7u
#define TRACE_PACKED_LIMIT ((uint64_t)1 << 49)
#define TRACE_PACKED_ZERO ((struct trace_packed){ (uint64_t)1 << 56 })

static inline struct trace_packed
trace_pack(uint64_t v)
{
	uint8_t to[TRACE_VARINT_MAX] = { 0 };
	uint64_t n = (uint64_t)(trace_put_varint(to, v) - to);
	struct trace_packed packed;

	memcpy(&packed, to, sizeof(packed));
	packed.bytes = (packed.bytes & (((uint64_t)1 << 8 * n) - 1)) | n << 56;
	return packed;
}

/* Writes eight bytes, of which what counts is first. */
static inline uint8_t *
trace_put_packed(uint8_t *to, struct trace_packed v)
{
	memcpy(to, &v, sizeof(v));
	return to + (v.bytes >> 56);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest byte is stored first");

#endif /* WEFT_TRACE_ENCODE_H */
