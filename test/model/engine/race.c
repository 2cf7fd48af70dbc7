/*
 * Data races. What the scenario checks is compiled with -fsanitize=thread, and linked without its
 * library: the calls at each plain access end here. Vector clocks say whether two accesses to the
 * same bytes, one of them a write and one of them plain, are ordered.
 */
#include "engine.h"

#include <stdio.h>
#include <string.h>

#define CELLS 8192		/* eight bytes each; the most that one execution touches */
#define RECORDS 16		/* of one cell; then the oldest is forgotten */

struct record {
	uint32_t clock;
	uint8_t thread;
	uint8_t mask;		/* which of the eight bytes; 0 = free */
	bool is_write;
	const struct mc_site *site;	/* of an atomic access; NULL: a plain one */
	const void *pc;
};

struct cell {
	uintptr_t address;	/* 0 = free */
	unsigned next_victim;
	struct record records[RECORDS];
};

static struct cell cells[CELLS];
static uint16_t used[CELLS];
static unsigned n_used;

void
mc_race_reset(void)
{
	while (n_used > 0)
		memset(&cells[used[--n_used]], 0, sizeof(cells[0]));
}

static struct cell *
cell_of(uintptr_t address)
{
	size_t h = (address >> 3) * 0x9e3779b1u % CELLS;

	while (cells[h].address != address) {
		if (cells[h].address == 0) {
			if (n_used + CELLS / 8 > CELLS)
				mc_fail(__FILE__, __LINE__, "too much for the race detector");
			used[n_used++] = (uint16_t)h;
			cells[h].address = address;
			break;
		}
		h = (h + 1) % CELLS;
	}
	return &cells[h];
}

static void
describe(const struct record *r, char *buf, size_t n)
{
	if (r->site != NULL)
		snprintf(buf, n, "%s:%d %s(%s)", r->site->file, r->site->line, r->site->op,
		    r->site->text);
	else
		mc_describe_pc(r->pc, buf, n);
}

static void
report(const struct record *old, const struct record *new)
{
	char a[160], b[160];

	describe(old, a, sizeof(a));
	describe(new, b, sizeof(b));
	mc_fail("data race", 0, "thread %d %s at %s, then thread %d %s at %s, unordered",
	    old->thread, old->is_write ? "writes" : "reads", a, new->thread,
	    new->is_write ? "writes" : "reads", b);
}

/* Is r over and done with for whoever comes after new? */
static bool
is_replaced(const struct record *r, const struct record *new)
{
	bool covers = (r->mask & ~new->mask) == 0;

	return covers && r->thread == new->thread && r->is_write == new->is_write &&
	    (r->site == NULL) == (new->site == NULL);
}

static void
check_cell(struct cell *c, const struct record *new)
{
	struct view *v = &mc_self()->view;
	struct record *place = NULL;

	for (struct record *r = c->records; r < c->records + RECORDS; r++) {
		if (place == NULL && (r->mask == 0 || is_replaced(r, new)))
			place = r;
		if (r->mask == 0)
			break;		/* none is used behind a free one */
		if (r == place)
			continue;
		if ((r->mask & new->mask) == 0 || r->thread == new->thread ||
		    (!r->is_write && !new->is_write) || (r->site != NULL && new->site != NULL) ||
		    r->clock <= v->clock[r->thread])
			continue;
		report(r, new);
	}
	if (place == NULL)
		place = &c->records[c->next_victim++ % RECORDS];
	*place = *new;
}

void
mc_race_access(const volatile void *p, size_t n, bool is_write, const struct mc_site *s,
    const void *pc)
{
	uintptr_t at = (uintptr_t)p, end = at + n;
	struct record new = { .clock = mc_self()->view.clock[mc.current],
		.thread = (uint8_t)mc.current, .is_write = is_write, .site = s, .pc = pc };

	while (at < end) {
		uintptr_t base = at & ~(uintptr_t)7, stop = wf_min(base + 8, end);

		new.mask = (uint8_t)(((1u << (stop - at)) - 1) << (at - base));
		check_cell(cell_of(base), &new);
		at = stop;
	}
}

/* ---- What the compiler calls ---- */

static void
plain(const volatile void *p, size_t n, bool is_write, const void *pc)
{
	if (!mc.is_running || p == (volatile void *)mc.local_slot)
		return;
	mc_race_access(p, n, is_write, NULL, pc);
	if (is_write)
		mc_memory_written(p, n);
}

#define HOOK(name, bytes, is_write) \
	void __tsan_##name(void *p); \
	void __tsan_##name(void *p) \
	{ \
		plain(p, bytes, is_write, __builtin_return_address(0)); \
	}

HOOK(read1, 1, false)
HOOK(read2, 2, false)
HOOK(read4, 4, false)
HOOK(read8, 8, false)
HOOK(read16, 16, false)
HOOK(write1, 1, true)
HOOK(write2, 2, true)
HOOK(write4, 4, true)
HOOK(write8, 8, true)
HOOK(write16, 16, true)
HOOK(unaligned_read2, 2, false)
HOOK(unaligned_read4, 4, false)
HOOK(unaligned_read8, 8, false)
HOOK(unaligned_read16, 16, false)
HOOK(unaligned_write2, 2, true)
HOOK(unaligned_write4, 4, true)
HOOK(unaligned_write8, 8, true)
HOOK(unaligned_write16, 16, true)
HOOK(read_write1, 1, true)
HOOK(read_write2, 2, true)
HOOK(read_write4, 4, true)
HOOK(read_write8, 8, true)
HOOK(read_write16, 16, true)

#define HOOK_RANGE(name, is_write) \
	void __tsan_##name(void *p, size_t n); \
	void __tsan_##name(void *p, size_t n) \
	{ \
		plain(p, n, is_write, __builtin_return_address(0)); \
	}

HOOK_RANGE(read_range, false)
HOOK_RANGE(write_range, true)

void *__tsan_memcpy(void *to, const void *from, size_t n);
void *
__tsan_memcpy(void *to, const void *from, size_t n)
{
	plain(from, n, false, __builtin_return_address(0));
	plain(to, n, true, __builtin_return_address(0));
	return memcpy(to, from, n);
}

void *__tsan_memmove(void *to, const void *from, size_t n);
void *
__tsan_memmove(void *to, const void *from, size_t n)
{
	plain(from, n, false, __builtin_return_address(0));
	plain(to, n, true, __builtin_return_address(0));
	return memmove(to, from, n);
}

void *__tsan_memset(void *to, int byte, size_t n);
void *
__tsan_memset(void *to, int byte, size_t n)
{
	plain(to, n, true, __builtin_return_address(0));
	return memset(to, byte, n);
}

#define HOOK_NOTHING(name, ...) \
	void __tsan_##name(__VA_ARGS__); \
	void __tsan_##name(__VA_ARGS__) \
	{ \
	}

HOOK_NOTHING(init, void)
HOOK_NOTHING(func_entry, void *pc WF_UNUSED)
HOOK_NOTHING(func_exit, void)
