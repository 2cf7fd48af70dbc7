/*
 * Tables of stacks. See profile_table.h.
 */
#include "debug/profile_table.h"

#include "os/os.h"

#include <string.h>

#define MIN_CAP 64u		/* capacities are powers of two */

static size_t
samples_bytes(uint32_t cap)
{
	return cap * sizeof(struct profile_sample);
}

static size_t
slots_bytes(uint32_t cap)
{
	return (size_t)2 * cap * sizeof(uint32_t);
}

static uint64_t
hash_of(const uintptr_t *pcs, uint32_t n, const char *name, const struct wf_tags *labels)
{
	uint64_t h = 0x9e3779b97f4a7c15u;

	for (uint32_t i = 0; i < n; i++)
		h = (h ^ pcs[i]) * 0xff51afd7ed558ccdu;
	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	for (size_t i = 0; labels != NULL && i < labels->bytes; i++)
		h = (h ^ (unsigned char)labels->text[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

/* Where the sample is or is to be; there is always an empty slot. */
static uint32_t *
slot_of(const struct profile_table *t, uint64_t hash, const uintptr_t *pcs, uint32_t n,
    const char *name, const struct wf_tags *labels)
{
	uint32_t mask = 2 * t->cap - 1, i = (uint32_t)hash & mask;

	for (; t->slots[i] != 0; i = (i + 1) & mask) {
		const struct profile_sample *s = &t->samples[t->slots[i] - 1];

		if (s->hash == hash && s->n_pcs == n &&
		    memcmp(s->pcs, pcs, n * sizeof(pcs[0])) == 0 &&
		    strcmp(s->name, name) == 0 && wf_labels_equal(s->labels, labels))
			break;
	}
	return &t->slots[i];
}

static void
unmap(const struct profile_table *t)
{
	if (t->samples != NULL)
		wf_os_unmap(t->samples, samples_bytes(t->cap));
	if (t->slots != NULL)
		wf_os_unmap(t->slots, slots_bytes(t->cap));
}

static bool
resize(struct profile_table *t, uint32_t cap)
{
	struct profile_table new = { .cap = cap, .max = t->max, .lost = t->lost };

	new.samples = wf_os_map(samples_bytes(cap));
	new.slots = wf_os_map(slots_bytes(cap));
	if (new.samples == NULL || new.slots == NULL) {
		unmap(&new);
		return false;
	}
	for (; new.n < t->n; new.n++) {
		struct profile_sample *s = &new.samples[new.n];

		*s = t->samples[new.n];
		*slot_of(&new, s->hash, s->pcs, s->n_pcs, s->name, s->labels) = new.n + 1;
	}
	unmap(t);
	*t = new;
	return true;
}

void
wf_profile_table_add(struct profile_table *t, const uintptr_t *pcs, uint32_t n, const char *name,
    struct wf_tags *labels, int64_t count, int64_t ns)
{
	struct profile_sample *s;
	uint64_t hash;
	uint32_t *slot;
	bool is_full = t->max != 0 && t->n == t->max;

	n = wf_min(n, PROFILE_FRAMES);
	hash = hash_of(pcs, n, name, labels);
	if (t->n == t->cap && !is_full && !resize(t, t->cap == 0 ? MIN_CAP : 2 * t->cap)) {
		t->lost++;
		return;
	}
	slot = slot_of(t, hash, pcs, n, name, labels);
	if (*slot == 0 && is_full) {
		t->lost++;
		return;
	}
	if (*slot == 0) {
		s = &t->samples[t->n++];
		*slot = t->n;
		memset(s, 0, sizeof(*s));
		s->hash = hash;
		s->n_pcs = n;
		memcpy(s->pcs, pcs, n * sizeof(pcs[0]));
		memcpy(s->name, name, strnlen(name, PROFILE_NAME - 1));
		s->labels = wf_labels_ref(labels);		/* Y3 of src/sched/README.md */
	}
	s = &t->samples[*slot - 1];
	s->count += count;
	s->ns += ns;
}

bool
wf_profile_table_reserve(struct profile_table *t, uint32_t n)
{
	uint32_t cap = MIN_CAP;

	while (cap < n)
		cap *= 2;
	return cap <= t->cap || resize(t, cap);
}

bool
wf_profile_table_copy(const struct profile_table *t, struct profile_table *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (t->n == 0)
		return true;
	ret->samples = wf_os_map(samples_bytes(t->cap));
	if (ret->samples == NULL)
		return false;
	memcpy(ret->samples, t->samples, t->n * sizeof(t->samples[0]));
	for (uint32_t i = 0; i < t->n; i++)
		(void)wf_labels_ref(ret->samples[i].labels);
	ret->n = t->n;
	ret->cap = t->cap;
	return true;
}

void
wf_profile_table_free(struct profile_table *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		wf_labels_unref(t->samples[i].labels);
	unmap(t);
	memset(t, 0, sizeof(*t));
}
