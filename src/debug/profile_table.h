/*
 * Stacks that were met, and what was counted at each. And their form as a pprof file.
 */
#ifndef WEFT_DEBUG_PROFILE_TABLE_H
#define WEFT_DEBUG_PROFILE_TABLE_H

#include "sched/tags.h"

#define PROFILE_FRAMES 48u
#define PROFILE_NAME 32u

struct profile_sample {
	uint64_t hash;
	int64_t count;
	int64_t ns;
	uint32_t n_pcs;
	char name[PROFILE_NAME];		/* of the goroutine, or "" */
	struct wf_tags *labels;			/* of it: a reference, or NULL */
	uintptr_t pcs[PROFILE_FRAMES];		/* return addresses, innermost first */
};

/*
 * Owned by one thread at a time; zero is empty. Its memory comes from the system, not from
 * malloc(): a signal handler may add to it.
 */
struct profile_table {
	struct profile_sample *samples;
	uint32_t *slots;			/* index + 1; 0 = empty. A power of two of them */
	uint32_t n, cap;
	uint32_t max;				/* as many at most; 0: as there is memory for */
	int64_t lost;				/* there was no room for them */
};

/* labels: NULL, or there for as long as the call lasts; the table has references of its own. */
void wf_profile_table_add(struct profile_table *t, const uintptr_t *pcs, uint32_t n,
    const char *name, struct wf_tags *labels, int64_t count, int64_t ns);
/* Room for n samples in all: adding so many allocates nothing. */
bool wf_profile_table_reserve(struct profile_table *t, uint32_t n);
/* The same samples, not to be added to. False: no memory. */
bool wf_profile_table_copy(const struct profile_table *t, struct profile_table *ret);
void wf_profile_table_free(struct profile_table *t);

/* profile.c: calls fn with the bounds of the stacks in each table that collects waits. */
void wf_profile_each_table(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg);

/* What the two numbers of each sample are. The second type NULL: only the first is written. */
struct profile_kind {
	const char *type[2];
	const char *unit[2];
	const char *period_type, *period_unit;	/* or NULL */
	int64_t period;
	int64_t duration_ns;
	const char *comment;			/* for who reads it (pprof -comments), or NULL */
};

/* 0, -ENOMEM, or what the write failed with. */
int wf_profile_table_write(const struct profile_table *t, const struct profile_kind *kind, int fd);

/* profile_text.c: as text. 0, -ENOMEM, or -EIO: not all was written. */
int wf_profile_table_print(const struct profile_table *t, const char *name, int fd);
/* profile.c: all goroutines, as such text. */
int wf_profile_goroutines_print(int fd);

#endif /* WEFT_DEBUG_PROFILE_TABLE_H */
