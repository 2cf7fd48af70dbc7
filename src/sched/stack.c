/*
 * Stacks by class of size. README.md, "Stacks".
 *
 * A class is a power of two of usable bytes. It maps arenas of many slots, each slot a guard
 * and then the stack. Free stacks are kept newest first: the next to be used is the one
 * whose pages are warm. Those that wait long are purged from the old end.
 */
#include "sched/stack.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/lock.h"
#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES 17		/* 16 KiB << 0 .. 16: up to 1 GiB */
#define ARENA_MAX ((size_t)64 << 20)
#define KEEP_DIRTY 64u		/* free stacks of a class whose pages are not given back */
#define CANARY ((uint64_t)0x5765667443616e61)

/* A mapping of many slots. All under the lock of its class, or constant. */
struct arena {
	struct stack_class *class;	/* constant */
	char *base;			/* constant */
	uint32_t n;			/* constant: slots */
	uint32_t n_clean;		/* of which are on class->clean */
	struct wf_stack slots[];
};

/* All under its lock but what boot sets. */
struct stack_class {
	struct wf_lock lock;
	size_t usable;			/* constant */
	size_t stride;			/* constant: usable + guard */
	struct wf_stack *dirty_head;	/* free, pages may be there; newest first */
	struct wf_stack *dirty_tail;
	uint32_t n_dirty;
	struct wf_stack *clean;		/* free, no pages */
	uint64_t n_slots, n_clean;	/* mapped; of which on clean */
	uint32_t n_clean_arenas;	/* arenas of which all slots are on clean */
	uint32_t arena_slots;		/* how many the next arena has */
};

static struct stack_class classes[CLASSES];
static struct stack_class default_class;
static enum wf_guard_mode guard_mode;
/* How many guards may still be made by mprotect: two mappings each, of those a process may have. */
static _Atomic long mprotect_budget;

/* Does a guard made by madvise really fault? Old kernels refuse it, qemu-user only says yes. */
static bool
probe_guard(void)
{
	size_t page = wf_os_page_size();
	char *p = wf_os_map(2 * page);
	bool works = false;

	if (p == NULL)
		return false;
	if (wf_os_guard_install(p, page) == 0)
		works = wf_os_faults(p) && !wf_os_faults(p + page);
	wf_os_unmap(p, 2 * page);
	return works;
}

/*
 * At vm.max_map_count (65,530: 32,700 stacks) the system refuses every new mapping, the
 * program's own and those of further stacks too. So we stop well before: an eighth is left to
 * others.
 */
static long
count_budget(void)
{
	char buf[32];
	long max = 65530;

	if (wf_os_read_file("/proc/sys/vm/max_map_count", buf, sizeof(buf)) > 0)
		max = strtol(buf, NULL, 10);
	return max / 2 - max / 16;
}

static void
class_init(struct stack_class *c, size_t usable)
{
	c->usable = usable;
	c->stride = usable + WF_GUARD_BYTES;
	c->arena_slots = 16;
}

void
wf_stack_init(const char *forced_mode, size_t default_bytes)
{
	if (forced_mode != NULL && strcmp(forced_mode, "mprotect") == 0)
		guard_mode = GUARD_MPROTECT;
	else if (forced_mode != NULL && strcmp(forced_mode, "canary") == 0)
		guard_mode = GUARD_CANARY;
	else
		guard_mode = probe_guard() ? GUARD_MADVISE : GUARD_MPROTECT;

	wf_store_relaxed(&mprotect_budget, count_budget());

	for (unsigned i = 0; i < CLASSES; i++)
		class_init(&classes[i], WF_STACK_MIN << i);

	if (default_bytes == 0)
		default_bytes = WF_STACK_DEFAULT;
	default_bytes = wf_max(default_bytes, WF_STACK_MIN);
	default_bytes = wf_min(default_bytes, WF_STACK_MAX);
	class_init(&default_class, (default_bytes + 4095) & ~(size_t)4095);
}

enum wf_guard_mode
wf_stack_guard_mode(void)
{
	return guard_mode;
}

size_t
wf_stack_default_bytes(void)
{
	return default_class.usable;
}

bool
wf_stack_is_default(const struct wf_stack *s)
{
	return s->arena->class == &default_class;
}

static void
clean_put_locked(struct stack_class *c, struct wf_stack *s)
{
	s->prev = NULL;
	s->next = c->clean;
	if (c->clean != NULL)
		c->clean->prev = s;
	c->clean = s;
	c->n_clean++;
	if (++s->arena->n_clean == s->arena->n)
		c->n_clean_arenas++;
}

static void
clean_remove_locked(struct stack_class *c, struct wf_stack *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		c->clean = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	c->n_clean--;
	if (s->arena->n_clean-- == s->arena->n)
		c->n_clean_arenas--;
}

/* Maps slots for c; smaller when address space is short. Under c->lock. */
static bool
grow_locked(struct stack_class *c)
{
	uint32_t n = c->arena_slots;
	struct arena *a;
	char *base;

	while (n > 1 && n * c->stride > ARENA_MAX)
		n /= 2;
	for (;; n /= 2) {
		if (n == 0)
			return false;
		base = wf_os_map(n * c->stride);
		if (base != NULL)
			break;
	}
	a = calloc(1, sizeof(*a) + n * sizeof(a->slots[0]));
	if (a == NULL) {
		wf_os_unmap(base, n * c->stride);
		return false;
	}
	wf_os_nohugepage(base, n * c->stride);
	/* Lowest slot first, so that page tables fill up one after the other. */
	a->class = c;
	a->base = base;
	a->n = n;
	c->n_slots += n;
	for (uint32_t i = n; i-- > 0;) {
		struct wf_stack *s = &a->slots[i];

		s->lo = (uintptr_t)base + i * c->stride + WF_GUARD_BYTES;
		s->hi = (uintptr_t)base + (i + 1) * c->stride;
		s->arena = a;
		clean_put_locked(c, s);
	}
	if (c->arena_slots < 4096)
		c->arena_slots *= 2;
	return true;
}

/* Makes a guard by mprotect, if the process can spare the mappings. */
static bool
protect(struct wf_stack *s, void *at)
{
	if (wf_sub_relaxed(&mprotect_budget, 1) > 0 && wf_os_protect_none(at, WF_GUARD_BYTES) == 0)
		s->is_protected = true;
	else
		(void)wf_add_relaxed(&mprotect_budget, 1);
	return s->is_protected;
}

/* Makes an overflow of s fault; once per slot, as guards survive being purged. */
static void
guard(struct wf_stack *s)
{
	void *g = (void *)(s->lo - WF_GUARD_BYTES);

	s->is_guarded = true;
	s->valgrind_id = wf_os_stack_announce(s->lo, s->hi);
	if (guard_mode == GUARD_MADVISE && wf_os_guard_install(g, WF_GUARD_BYTES) == 0)
		return;
	if (guard_mode == GUARD_CANARY || !protect(s, g))
		s->has_canary = true;
}

struct wf_stack *
wf_stack_get(size_t bytes)
{
	struct stack_class *c = &default_class;
	struct wf_stack *s;

	if (bytes != 0 && bytes != default_class.usable) {
		unsigned i = 0;

		while (i < CLASSES - 1 && classes[i].usable < bytes)
			i++;
		c = &classes[i];
	}
	wf_lock(&c->lock);
	if ((s = c->dirty_head) != NULL) {
		c->dirty_head = s->next;
		if (s->next != NULL)
			s->next->prev = NULL;
		else
			c->dirty_tail = NULL;
		c->n_dirty--;
	} else {
		if (c->clean == NULL && !grow_locked(c)) {
			wf_unlock(&c->lock);
			return NULL;
		}
		s = c->clean;
		clean_remove_locked(c, s);
	}
	wf_unlock(&c->lock);

	s->next = s->prev = NULL;
	if (!s->is_guarded)
		guard(s);
	if (s->has_canary)
		*(volatile uint64_t *)s->lo = CANARY;
	return s;
}

void
wf_stack_put(struct wf_stack *s)
{
	struct stack_class *c = s->arena->class;

	s->freed_at = wf_load_relaxed(&wf_sched.now_coarse);
	wf_lock(&c->lock);
	s->prev = NULL;
	s->next = c->dirty_head;
	if (c->dirty_head != NULL)
		c->dirty_head->prev = s;
	else
		c->dirty_tail = s;
	c->dirty_head = s;
	c->n_dirty++;
	wf_unlock(&c->lock);
}

void
wf_stack_usage(struct wf_stack_usage *ret)
{
	ret->mapped_bytes = ret->used_bytes = 0;
	ret->guards_left = wf_load_relaxed(&mprotect_budget);
	for (unsigned i = 0; i <= CLASSES; i++) {
		struct stack_class *c = i < CLASSES ? &classes[i] : &default_class;

		wf_lock(&c->lock);
		ret->mapped_bytes += c->n_slots * c->stride;
		ret->used_bytes += (c->n_slots - c->n_clean - c->n_dirty) * c->usable;
		wf_unlock(&c->lock);
	}
}

bool
wf_stack_canary_ok(const struct wf_stack *s)
{
	return *(const volatile uint64_t *)s->lo == CANARY;
}

bool
wf_stack_is_guard(uintptr_t addr, struct g **ret_g)
{
	struct m *m = wf_self();
	struct g *g = m == NULL ? NULL : m->gate.g;
	uintptr_t lo;

	if (g == NULL)
		return false;
	lo = wf_load_relaxed(&g->stack_lo);
	if (lo == 0 || addr >= lo || addr < lo - WF_GUARD_BYTES)
		return false;
	*ret_g = g;
	return true;
}

/*
 * Takes up to n dirty stacks, the oldest and no younger than freed_by, off c, as a list through
 * next. *ret_young: there are younger ones, more than need be kept.
 */
static struct wf_stack *
take_old(struct stack_class *c, uint32_t n, int64_t freed_by, bool *ret_young)
{
	struct wf_stack *list = NULL;

	*ret_young = false;
	wf_lock(&c->lock);
	while (n-- > 0 && c->n_dirty > KEEP_DIRTY) {
		struct wf_stack *s = c->dirty_tail;

		if (s->freed_at > freed_by) {
			*ret_young = true;
			break;
		}
		c->dirty_tail = s->prev;
		if (s->prev != NULL)
			s->prev->next = NULL;
		else
			c->dirty_head = NULL;
		c->n_dirty--;
		s->next = list;
		list = s;
	}
	wf_unlock(&c->lock);
	return list;
}

/*
 * A slot of c without pages. The last of its arena takes the arena with it, page tables and all
 * (512 bytes a slot), unless it is the only one: the next burst would map it again.
 */
static void
put_clean(struct stack_class *c, struct wf_stack *s)
{
	struct arena *a = s->arena;
	bool gone = false;
	long n_protected = 0;

	wf_lock(&c->lock);
	clean_put_locked(c, s);
	if (a->n_clean == a->n && c->n_clean_arenas > 1) {
		for (uint32_t i = 0; i < a->n; i++) {
			clean_remove_locked(c, &a->slots[i]);
			if (a->slots[i].is_guarded)
				wf_os_stack_forget(a->slots[i].valgrind_id);
			n_protected += a->slots[i].is_protected;
		}
		c->n_slots -= a->n;
		gone = true;
	}
	wf_unlock(&c->lock);
	if (gone) {
		wf_os_unmap(a->base, a->n * c->stride);
		(void)wf_add_relaxed(&mprotect_budget, n_protected);
		free(a);
	}
}

/* Gives the pages of one batch back. Returns how many stacks it had. */
static uint32_t
purge_batch(struct stack_class *c, int64_t freed_by, bool *ret_young)
{
	struct wf_stack *list = take_old(c, 64, freed_by, ret_young), *next;
	uint32_t n = 0;

	for (struct wf_stack *s = list; s != NULL; s = next, n++) {
		next = s->next;
		(void)wf_os_dontneed((void *)s->lo, s->hi - s->lo);
		put_clean(c, s);
	}
	return n;
}

enum wf_scavenged
wf_stack_scavenge(int64_t min_age_ns, int64_t budget_ns)
{
	int64_t start = wf_os_now();
	enum wf_scavenged r = SCAVENGED_ALL;

	for (unsigned i = 0; i <= CLASSES; i++) {
		struct stack_class *c = i < CLASSES ? &classes[i] : &default_class;
		bool young;

		while (purge_batch(c, start - min_age_ns, &young) > 0)
			if (wf_os_now() - start >= budget_ns)
				return SCAVENGED_SOME;
		if (young)
			r = SCAVENGED_OLD;
	}
	return r;
}
