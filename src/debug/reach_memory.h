/*
 * All memory of the process, word by word, but for holes: what a search for references reads.
 * It reads memory that others change, unmap or protect meanwhile, and knows nothing of goroutines.
 *
 * No malloc: a block keeps what it held when it is freed, and the next search would find it.
 */
#ifndef WEFT_DEBUG_REACH_MEMORY_H
#define WEFT_DEBUG_REACH_MEMORY_H

#include "debug/trace_out.h"

#define REACH_WORDS 8192u	/* read at a time */

struct reach_range {
	uintptr_t lo, hi;
};

/* Owned by one thread. */
struct reach_memory {
	void (*words)(void *arg, const uintptr_t *words, size_t n);	/* gets what is there */
	void *arg;
	int maps, pages;		/* descriptors of /proc/self/maps and pagemap */
	struct trace_out holes;		/* struct reach_range; in order once wf_reach_all() runs */
	int64_t deadline;		/* of the whole search */
	bool is_late;			/* it has passed: nothing more is read */
	bool is_refused;		/* memory is there that may not be asked for */
	uint64_t bytes;			/* address space seen by wf_reach_all() */
	size_t n_text;
	char text[8192];
	uint64_t entries[REACH_WORDS];	/* of pagemap */
	uintptr_t window[REACH_WORDS];
};

/* False: the system does not let itself be asked. */
bool wf_reach_open(struct reach_memory *m, void (*words)(void *, const uintptr_t *, size_t),
    void *arg, int64_t deadline);
void wf_reach_close(struct reach_memory *m);

/* Looks at the clock, unless it was late before. */
bool wf_reach_is_late(struct reach_memory *m);

/* wf_reach_all() leaves [lo, hi) out. */
void wf_reach_hole(struct reach_memory *m, uintptr_t lo, uintptr_t hi);
/* The words of [lo, hi), as far as they are there. */
void wf_reach_range(struct reach_memory *m, uintptr_t lo, uintptr_t hi);
/*
 * The same for a large range of which little was ever touched: the rest stays so. False: the system
 * does not say what was touched.
 */
bool wf_reach_touched(struct reach_memory *m, uintptr_t lo, uintptr_t hi);
/*
 * Those of all memory that may be read, but holes, the unchanged contents of files, and devices.
 * False: the system does not say what there is, it is more than a search can go through, or the
 * deadline has passed.
 */
bool wf_reach_all(struct reach_memory *m);

/*
 * Is it memory that a reference may be in: a mapping of /proc/self/maps with these rights ("rw-p"),
 * and this path or ""?
 */
bool wf_reach_is_memory(const char *rights, const char *path);

/* Sorts n items of so many bytes, at most 64, by their first word. False: there was no time. */
bool wf_reach_sort(struct reach_memory *m, void *items, size_t n, size_t bytes);

#endif /* WEFT_DEBUG_REACH_MEMORY_H */
