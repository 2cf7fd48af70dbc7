/*
 * The memory of traces: blocks of 64 KiB that are filled by one thread and then handed to the
 * tracer, and tables in such blocks that give equal stacks and strings the same number. README.md,
 * "Memory".
 */
#ifndef WEFT_TRACE_BLOCK_H
#define WEFT_TRACE_BLOCK_H

#include "base/atomic.h"

#define TRACE_BLOCK_BYTES ((size_t)64 << 10)

/* Owned by the thread that fills it, then by the tracer. */
struct trace_block {
	struct trace_block *next;	/* newest first */
	struct trace_block *all_next, *all_prev;	/* of all that are mapped, by the pool */
	uint64_t gen;
	int64_t first, last;		/* times of the batch and of its last event */
	int tid;			/* whose events these are */
	uint32_t n;			/* bytes of data in use */
	uint8_t data[];
};

#define TRACE_BLOCK_CAP (TRACE_BLOCK_BYTES - sizeof(struct trace_block))

/*
 * A new block, or NULL: no memory, or there are more than the limit already. is_filled: it will be
 * full soon, so its pages are wanted at once.
 */
struct trace_block *wf_trace_block_new(bool is_filled);
/* Gives a list back. Kept for the next, as far as it is not too much. */
void wf_trace_block_free(struct trace_block *list);
/* Gives the memory of free ones back. */
void wf_trace_block_trim(void);
/*
 * Calls fn with the bounds of each that is mapped, in use or not. Nobody gets or gives one back
 * meanwhile: fn may not.
 */
void wf_trace_block_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);
/* Bytes in blocks that are in use. */
size_t wf_trace_block_used(void);
/* Nothing more goes into b: what its generation says is that much. Threads that say little do not
 * count, however many they are. */
void wf_trace_block_full(const struct trace_block *b);
/* Bytes in full blocks of a generation, and that it is over: its number's parity is another's. */
size_t wf_trace_block_filled(uint64_t gen);
void wf_trace_block_forget(uint64_t gen);
/* More bytes than this: wf_trace_block_new() fails. */
#define TRACE_USED_MAX ((size_t)512 << 20)

/* Things to which a number was given: stacks (arrays of pc) or strings. In data of a block. */
struct trace_item {
	uint32_t bytes;
	uint32_t id;
	uint64_t hash;
	uint8_t data[];			/* then up to a multiple of 8 */
};

/* A table of them. Lives as long as a generation; owned as its blocks are. */
struct trace_table {
	struct trace_block *blocks;	/* slots are in the newest only: older things are forgotten,
					 * and get another number if they come again */
	uint32_t n;			/* numbers given in this generation */
};

/* The number of those bytes, from 1 on, or 0: no memory. */
uint32_t wf_trace_intern(struct trace_table *t, uint64_t gen, const void *data, uint32_t bytes);
/* The first of a block, and the one after; NULL: that was all. */
const struct trace_item *wf_trace_item_first(const struct trace_block *b);
const struct trace_item *wf_trace_item_next(
    const struct trace_block *b, const struct trace_item *item);

#endif /* WEFT_TRACE_BLOCK_H */
