/*
 * A hash table of byte strings. See idmap.h.
 */
#include "idmap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAP_FIRST 64

static uint64_t
hash_of(const unsigned char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;	/* FNV-1a, and its last bits mixed */

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 0x100000001b3u;
	return (h ^ h >> 29) * 0xff51afd7ed558ccdu;
}

/* Where it is, or is to be: there is always an empty slot. */
static size_t *
slot_of(const struct idmap *m, uint64_t hash, const void *bytes, size_t n)
{
	size_t mask = 2 * m->cap - 1, i = (size_t)(hash >> 20) & mask;

	for (; m->slots[i] != 0; i = (i + 1) & mask) {
		const struct idmap_key *k = &m->keys[m->slots[i] - 1];

		if (k->hash == hash && k->n == n && memcmp(k->bytes, bytes, n) == 0)
			break;
	}
	return &m->slots[i];
}

static bool
grow(struct idmap *m)
{
	size_t cap = m->cap == 0 ? CAP_FIRST : 2 * m->cap;
	struct idmap_key *keys = realloc(m->keys, cap * sizeof(*keys));
	size_t *slots = calloc(2 * cap, sizeof(*slots));

	if (keys != NULL)
		m->keys = keys;
	if (keys == NULL || slots == NULL) {
		free(slots);
		return false;
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	for (size_t i = 0; i < m->n; i++)
		*slot_of(m, keys[i].hash, keys[i].bytes, keys[i].n) = i + 1;
	return true;
}

size_t
idmap_find(const struct idmap *m, const void *bytes, size_t n)
{
	return m->n == 0 ? IDMAP_NONE : *slot_of(m, hash_of(bytes, n), bytes, n) - 1;
}

size_t
idmap_add(struct idmap *m, const void *bytes, size_t n)
{
	uint64_t hash = hash_of(bytes, n);
	size_t *slot;
	void *copy;

	if (m->n == m->cap && !grow(m))
		return IDMAP_NONE;
	slot = slot_of(m, hash, bytes, n);
	if (*slot != 0)
		return *slot - 1;
	copy = malloc(n + 1);
	if (copy == NULL)
		return IDMAP_NONE;
	memcpy(copy, bytes, n);
	m->keys[m->n] = (struct idmap_key){ hash, copy, n };
	*slot = ++m->n;
	return m->n - 1;
}

void
idmap_free(struct idmap *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->keys[i].bytes);
	free(m->keys);
	free(m->slots);
	*m = (struct idmap){ 0 };
}
