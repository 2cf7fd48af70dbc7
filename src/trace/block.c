/*
 * Blocks and tables. See block.h.
 */
#include "trace/block.h"

#include "os/os.h"

#include <string.h>

/*
 * In blocks: 32 MiB, two generations of a busy program. A page that was given back costs as much as
 * twenty events when it is touched again. The tracer gives all back at its end.
 */
#define KEEP_FREE 512u
#define SLOTS 512u		/* of a table, a power of two; they lie before the items */
#define ITEMS_AT (SLOTS * sizeof(uint16_t))
#define ITEM_UNIT 8u		/* slots hold offsets in these units; 0 = empty */

_Static_assert(TRACE_BLOCK_BYTES / ITEM_UNIT <= UINT16_MAX, "slots are 16 bits");

/*
 * A spin lock of a dozen instructions, taken once per 64 KiB of events; longer by who wants to see
 * all blocks, which is rare. Innermost; base/ and os/ have no lock of their own.
 *
 *   B1  lock: release when it is given back -> acquire when it is taken
 */
static struct {
	_Atomic uint32_t lock;
	struct trace_block *free, *all;
	uint32_t n_free;
	_Atomic size_t used;		/* written under lock */
	_Atomic size_t filled[2];	/* by generation % 2: statistics, relaxed */
} pool;

static void
lock_pool(void)
{
	for (int i = 0; wf_xchg_acquire(&pool.lock, 1u) != 0; i++) {	/* B1 */
		if (i < 100)
			wf_cpu_relax();
		else
			wf_os_thread_yield();
	}
}

static void
unlock_pool(void)
{
	wf_store_release(&pool.lock, 0u);				/* B1 */
}

static struct trace_block *
map_block(void)
{
	struct trace_block *b = wf_os_map(TRACE_BLOCK_BYTES);

	if (b == NULL)
		return NULL;
	lock_pool();
	b->all_next = pool.all;
	if (pool.all != NULL)
		pool.all->all_prev = b;
	pool.all = b;
	unlock_pool();
	return b;
}

static void
unmap_block(struct trace_block *b)
{
	lock_pool();
	if (b->all_prev != NULL)
		b->all_prev->all_next = b->all_next;
	else
		pool.all = b->all_next;
	if (b->all_next != NULL)
		b->all_next->all_prev = b->all_prev;
	unlock_pool();
	wf_os_unmap(b, TRACE_BLOCK_BYTES);
}

void
wf_trace_block_each(void (*fn)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
	lock_pool();
	for (struct trace_block *b = pool.all; b != NULL; b = b->all_next)
		fn((uintptr_t)b, (uintptr_t)b + TRACE_BLOCK_BYTES, arg);
	unlock_pool();
}

struct trace_block *
wf_trace_block_new(bool is_filled)
{
	struct trace_block *b;
	size_t used;

	lock_pool();
	used = wf_load_relaxed(&pool.used) + TRACE_BLOCK_BYTES;
	if (used > TRACE_USED_MAX) {
		unlock_pool();
		return NULL;
	}
	wf_store_relaxed(&pool.used, used);
	b = pool.free;
	if (b != NULL) {
		pool.free = b->next;
		pool.n_free--;
	}
	unlock_pool();
	if (b == NULL) {
		b = map_block();
		if (b != NULL && is_filled)
			wf_os_touch(b, TRACE_BLOCK_BYTES);
	}
	if (b == NULL) {
		lock_pool();
		wf_store_relaxed(&pool.used, wf_load_relaxed(&pool.used) - TRACE_BLOCK_BYTES);
		unlock_pool();
		return NULL;
	}
	b->next = NULL;
	b->n = 0;
	return b;
}

void
wf_trace_block_free(struct trace_block *list)
{
	struct trace_block *b, *next;

	for (b = list; b != NULL; b = next) {
		bool kept;

		next = b->next;
		lock_pool();
		wf_store_relaxed(&pool.used, wf_load_relaxed(&pool.used) - TRACE_BLOCK_BYTES);
		kept = pool.n_free < KEEP_FREE;
		if (kept) {
			b->next = pool.free;
			pool.free = b;
			pool.n_free++;
		}
		unlock_pool();
		if (!kept)
			unmap_block(b);
	}
}

void
wf_trace_block_trim(void)
{
	struct trace_block *b, *next;

	lock_pool();
	b = pool.free;
	pool.free = NULL;
	pool.n_free = 0;
	unlock_pool();
	for (; b != NULL; b = next) {
		next = b->next;
		unmap_block(b);
	}
}

size_t
wf_trace_block_used(void)
{
	return wf_load_relaxed(&pool.used);
}

void
wf_trace_block_full(const struct trace_block *b)
{
	(void)wf_add_relaxed(&pool.filled[b->gen % 2], (size_t)b->n);
}

size_t
wf_trace_block_filled(uint64_t gen)
{
	return wf_load_relaxed(&pool.filled[gen % 2]);
}

void
wf_trace_block_forget(uint64_t gen)
{
	wf_store_relaxed(&pool.filled[gen % 2], (size_t)0);
}

/* ---- tables ---- */

/*
 * Of whole words, and what is left. Each has a factor of its own, so that no product waits for the
 * one before.
 */
static uint64_t
hash_of(const uint8_t *data, uint32_t bytes)
{
	uint64_t factor = 0xff51afd7ed558ccdu, h = bytes, w;

	for (; bytes >= 8; data += 8, bytes -= 8, factor += 0x9e3779b97f4a7c16u) {
		memcpy(&w, data, 8);
		w *= factor;
		h += w ^ w >> 32;
	}
	if (bytes != 0) {
		w = 0;
		memcpy(&w, data, bytes);
		w *= factor;
		h += w ^ w >> 32;
	}
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static uint32_t
round_up(uint32_t bytes)
{
	return (bytes + ITEM_UNIT - 1) / ITEM_UNIT * ITEM_UNIT;
}

static struct trace_item *
item_at(struct trace_block *b, uint32_t offset)
{
	return (struct trace_item *)(void *)(b->data + offset);
}

/* Room for one more item, in a new block if need be. Then the slots are empty again. */
static struct trace_block *
make_room(struct trace_table *t, uint64_t gen, uint32_t bytes)
{
	struct trace_block *b = t->blocks;

	if (b != NULL && b->n + bytes <= TRACE_BLOCK_CAP)
		return b;
	b = wf_trace_block_new(false);
	if (b == NULL)
		return NULL;
	memset(b->data, 0, ITEMS_AT);
	b->n = ITEMS_AT;
	b->gen = gen;
	b->next = t->blocks;
	if (b->next != NULL)
		wf_trace_block_full(b->next);
	t->blocks = b;
	return b;
}

uint32_t
wf_trace_intern(struct trace_table *t, uint64_t gen, const void *data, uint32_t bytes)
{
	uint64_t hash = hash_of(data, bytes);
	uint32_t size = (uint32_t)sizeof(struct trace_item) + round_up(bytes);
	struct trace_block *b = t->blocks;
	struct trace_item *item;
	uint16_t *slots, *slot;

	if (b != NULL) {
		slots = (uint16_t *)(void *)b->data;
		slot = &slots[hash % SLOTS];
		if (*slot != 0) {
			item = item_at(b, *slot * ITEM_UNIT);
			if (item->hash == hash && item->bytes == bytes &&
			    memcmp(item->data, data, bytes) == 0)
				return item->id;
		}
	}
	if (size > TRACE_BLOCK_CAP - ITEMS_AT || (b = make_room(t, gen, size)) == NULL)
		return 0;
	item = item_at(b, b->n);
	item->bytes = bytes;
	item->id = ++t->n;
	item->hash = hash;
	memcpy(item->data, data, bytes);
	/* One place per hash: who comes later pushes the other out. */
	slots = (uint16_t *)(void *)b->data;
	slots[hash % SLOTS] = (uint16_t)(b->n / ITEM_UNIT);
	b->n += size;
	return item->id;
}

const struct trace_item *
wf_trace_item_first(const struct trace_block *b)
{
	if (b->n <= ITEMS_AT)
		return NULL;
	return (const struct trace_item *)(const void *)(b->data + ITEMS_AT);
}

const struct trace_item *
wf_trace_item_next(const struct trace_block *b, const struct trace_item *item)
{
	const uint8_t *next = item->data + round_up(item->bytes);

	if (next >= b->data + b->n)
		return NULL;
	return (const struct trace_item *)(const void *)next;
}
