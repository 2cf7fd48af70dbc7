/*
 * From numbers, or bytes, to small numbers: 0, 1, 2 ... in the order in which they first came.
 */
#ifndef WEFT_IDMAP_H
#define WEFT_IDMAP_H

#include <stddef.h>
#include <stdint.h>

#define IDMAP_NONE SIZE_MAX

struct idmap {			/* zero is empty */
	struct idmap_key *keys;
	size_t n, cap;
	size_t *slots;		/* index + 1; 0: empty. Twice as many as keys, a power of two */
};

struct idmap_key {
	uint64_t hash;
	void *bytes;		/* a copy */
	size_t n;
};

/* The number of these bytes, or IDMAP_NONE: they have none. */
size_t idmap_find(const struct idmap *m, const void *bytes, size_t n);
/* The same; they get one. IDMAP_NONE: no memory. */
size_t idmap_add(struct idmap *m, const void *bytes, size_t n);
void idmap_free(struct idmap *m);

#endif /* WEFT_IDMAP_H */
