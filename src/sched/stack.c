/*
 * Stacks by class of size. README.md, "Stacks".
 *
 * A class is a power of two of usable bytes. It maps arenas of many slots, each slot a guard
 * and then the stack. Free stacks are kept newest first: the next to be used is the one
 * whose pages are warm. Those that wait long are purged from the old end (stack_purge.c).
 */
#include "sched/stack.h"

#include "base/assert.h"
#include "os/os.h"
#include "sched/sched.h"
#include "sched/stack_class.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)64 << 20)
#define PACKED_LEAST (65536u / WEFT_STACK_SMALL)	/* in the largest page that there is */
#define CANARY ((uint64_t)0x5765667443616e61)

struct stack_class wf_stack_classes[STACK_CLASSES];
static enum wf_guard_mode guard_mode;
/* The kernel has refused wf_os_make_ready(). Relaxed: a hint, and never set back but by init. */
static _Atomic bool is_ready_refused;
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
class_init(struct stack_class *c, size_t usable, size_t guard)
{
	c->usable = usable;
	c->guard = guard;
	c->stride = usable + guard;
	c->arena_slots = guard == 0 ? PACKED_LEAST : 16;
}

void
wf_stack_init(const char *forced_mode, size_t default_bytes, bool may_pack)
{
	struct stack_class *c = wf_stack_classes;

	if (forced_mode != NULL && strcmp(forced_mode, "mprotect") == 0)
		guard_mode = GUARD_MPROTECT;
	else if (forced_mode != NULL && strcmp(forced_mode, "canary") == 0)
		guard_mode = GUARD_CANARY;
	else
		guard_mode = probe_guard() ? GUARD_MADVISE : GUARD_MPROTECT;

	wf_store_relaxed(&mprotect_budget, count_budget());
	wf_store_relaxed(&is_ready_refused, false);

	if (may_pack)
		class_init(&c[CLASS_SMALL], WEFT_STACK_SMALL, 0);
	else
		class_init(&c[CLASS_SMALL], WF_STACK_MIN, WF_GUARD_BYTES);
	for (unsigned i = 0; CLASS_MIN + i < STACK_CLASSES; i++)
		class_init(&c[CLASS_MIN + i], WF_STACK_MIN << i, WF_GUARD_BYTES);

	if (default_bytes == 0)
		default_bytes = WF_STACK_DEFAULT;
	default_bytes = wf_max(default_bytes, WF_STACK_MIN);
	default_bytes = wf_min(default_bytes, WF_STACK_MAX);
	class_init(&c[CLASS_DEFAULT], (default_bytes + 4095) & ~(size_t)4095, WF_GUARD_BYTES);
}

enum wf_guard_mode
wf_stack_guard_mode(void)
{
	return guard_mode;
}

size_t
wf_stack_default_bytes(void)
{
	return wf_stack_classes[CLASS_DEFAULT].usable;
}

bool
wf_stack_is_default(const struct wf_stack *s)
{
	return s->arena->class == &wf_stack_classes[CLASS_DEFAULT];
}

void
wf_stack_clean_put_locked(struct stack_class *c, struct wf_stack *s)
{
	s->prev = NULL;
	s->next = c->clean;
	if (c->clean != NULL)
		c->clean->prev = s;
	c->clean = s;
	s->is_clean = true;
	c->n_clean++;
	if (++s->arena->n_clean == s->arena->n)
		c->n_clean_arenas++;
}

void
wf_stack_clean_remove_locked(struct stack_class *c, struct wf_stack *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		c->clean = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->is_clean = false;
	c->n_clean--;
	if (s->arena->n_clean-- == s->arena->n)
		c->n_clean_arenas--;
}

/* An arena of n slots, mapped. NULL: there is no memory for so many. */
static struct arena *
arena_new(struct stack_class *c, uint32_t n)
{
	/* Packed stacks have one guard for all. */
	size_t below = c->guard == 0 ? WF_GUARD_BYTES : 0, bytes = below + n * c->stride;
	char *base = wf_os_map(bytes);
	struct arena *a;

	if (base == NULL)
		return NULL;
	wf_race_hide();
	a = calloc(1, sizeof(*a) + n * sizeof(a->slots[0]));
	wf_race_show();
	if (a == NULL) {
		wf_os_unmap(base, bytes);
		return NULL;
	}
	wf_os_nohugepage(base, bytes);
	if (below != 0 && (guard_mode != GUARD_MADVISE || wf_os_guard_install(base, below) != 0))
		(void)wf_os_protect_none(base, below);
	a->class = c;
	a->base = base;
	a->bytes = bytes;
	a->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct wf_stack *s = &a->slots[i];

		s->lo = (uintptr_t)base + below + i * c->stride + c->guard;
		s->hi = s->lo + c->usable;
		s->arena = a;
	}
	return a;
}

/* Maps slots for c; smaller when memory is short. Under c->lock. */
static bool
grow_locked(struct stack_class *c)
    WF_HOLDS(c->lock)
{
	uint32_t n = c->arena_slots, least = c->guard == 0 ? PACKED_LEAST : 1;
	struct arena *a;

	while (n > 1 && n * c->stride > ARENA_MAX)
		n /= 2;
	while ((a = arena_new(c, n)) == NULL) {
		n /= 2;
		if (n < least)
			return false;
	}
	a->next = c->arenas;
	if (a->next != NULL)
		a->next->prev = a;
	c->arenas = a;
	c->n_slots += n;
	/* Lowest slot first, so that page tables fill up one after the other. */
	for (uint32_t i = n; i-- > 0;)
		wf_stack_clean_put_locked(c, &a->slots[i]);
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
	if (s->arena->class->guard == 0) {
		s->has_canary = true;
		return;
	}
	if (guard_mode == GUARD_MADVISE && wf_os_guard_install(g, WF_GUARD_BYTES) == 0)
		return;
	if (guard_mode == GUARD_CANARY || !protect(s, g))
		s->has_canary = true;
}

static struct stack_class *
class_for(size_t bytes)
{
	unsigned i = CLASS_MIN;

	if (bytes == 0 || bytes == wf_stack_classes[CLASS_DEFAULT].usable)
		return &wf_stack_classes[CLASS_DEFAULT];
	if (bytes == WEFT_STACK_SMALL)
		return &wf_stack_classes[CLASS_SMALL];
	while (i < STACK_CLASSES - 1 && wf_stack_classes[i].usable < bytes)
		i++;
	return &wf_stack_classes[i];
}

/*
 * How many clean stacks to make ready at once: one for each sixteen in use, so that memory that
 * nobody comes to need is a sixteenth at most.
 */
static uint32_t
batch_size(const struct stack_class *c)
{
	uint64_t n = (c->n_slots - c->n_clean - c->n_dirty) / 16;

	if (guard_mode != GUARD_MADVISE || c->guard == 0 || wf_load_relaxed(&is_ready_refused))
		return 1;
	return (uint32_t)wf_max(wf_min(n, (uint64_t)WF_OS_READY_MAX), (uint64_t)1);
}

/* Takes up to n off the list of clean ones, which is not empty. Returns how many. */
static uint32_t
take_clean_locked(struct stack_class *c, struct wf_stack *got[], uint32_t n)
    WF_HOLDS(c->lock)
{
	uint32_t i = 0;

	while (i < n && c->clean != NULL) {
		got[i] = c->clean;
		wf_stack_clean_remove_locked(c, got[i++]);
	}
	return i;
}

/* Guards n stacks that were clean, and has their first pages there, by as few calls as can be. */
static void
make_ready(struct wf_stack *const got[], uint32_t n)
{
	void *guards[WF_OS_READY_MAX], *pages[WF_OS_READY_MAX];
	size_t page = wf_os_page_size();

	for (uint32_t i = 0; i < n; i++) {
		guards[i] = (void *)(got[i]->lo - WF_GUARD_BYTES);
		pages[i] = (void *)(got[i]->hi - page);
	}
	if (wf_os_make_ready(guards, WF_GUARD_BYTES, pages, page, n) < 0) {
		wf_store_relaxed(&is_ready_refused, true);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!got[i]->is_guarded)
			got[i]->valgrind_id = wf_os_stack_announce(got[i]->lo, got[i]->hi);
		got[i]->is_guarded = true;
	}
}

static void
put_dirty_locked(struct stack_class *c, struct wf_stack *s)
    WF_HOLDS(c->lock)
{
	s->prev = NULL;
	s->next = c->dirty_head;
	if (c->dirty_head != NULL)
		c->dirty_head->prev = s;
	else
		c->dirty_tail = s;
	c->dirty_head = s;
	c->n_dirty++;
}

/* Puts those that were made ready beside the one that was asked for where the next is taken. */
static void
put_ready(struct stack_class *c, struct wf_stack *const got[], uint32_t n)
{
	wf_lock(&c->lock);
	for (uint32_t i = n; i-- > 0;) {
		got[i]->freed_at = wf_load_relaxed(&wf_sched.now_coarse);
		put_dirty_locked(c, got[i]);
	}
	wf_unlock(&c->lock);
}

struct wf_stack *
wf_stack_get(size_t bytes)
{
	struct stack_class *c = class_for(bytes);
	struct wf_stack *s, *got[WF_OS_READY_MAX];
	uint32_t n = 1;

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
		n = take_clean_locked(c, got, batch_size(c));
		s = got[0];
	}
	wf_unlock(&c->lock);

	s->next = s->prev = NULL;
	if (n > 1) {
		make_ready(got, n);
		put_ready(c, got + 1, n - 1);
	}
	if (!s->is_guarded)
		guard(s);
	if (s->has_canary)
		*(volatile uint64_t *)s->lo = CANARY;
	return s;
}

void
wf_stack_renew(struct wf_stack *s)
{
	wf_race_hide();
	if (wf_os_map_again((void *)s->lo, s->hi - s->lo) == 0)
		wf_os_nohugepage((void *)s->lo, s->hi - s->lo);
	wf_race_show();
	if (s->has_canary)
		*(volatile uint64_t *)s->lo = CANARY;
}

void
wf_stack_put(struct wf_stack *s)
{
	struct stack_class *c = s->arena->class;

	s->freed_at = wf_load_relaxed(&wf_sched.now_coarse);
	wf_lock(&c->lock);
	put_dirty_locked(c, s);
	wf_unlock(&c->lock);
}

void
wf_stack_usage(struct wf_stack_usage *ret)
{
	ret->mapped_bytes = ret->used_bytes = 0;
	ret->guards_left = wf_load_relaxed(&mprotect_budget);
	for (unsigned i = 0; i < STACK_CLASSES; i++) {
		struct stack_class *c = &wf_stack_classes[i];

		wf_lock(&c->lock);
		ret->mapped_bytes += c->n_slots * c->stride;
		ret->used_bytes += (c->n_slots - c->n_clean - c->n_dirty) * c->usable;
		wf_unlock(&c->lock);
	}
}

void
wf_stack_each_arena(void (*each)(uintptr_t lo, uintptr_t hi, void *arg), void *arg)
{
	for (unsigned i = 0; i < STACK_CLASSES; i++) {
		struct stack_class *c = &wf_stack_classes[i];

		wf_lock(&c->lock);
		for (const struct arena *a = c->arenas; a != NULL; a = a->next)
			each((uintptr_t)a->base, (uintptr_t)a->base + a->bytes, arg);
		wf_unlock(&c->lock);
	}
}

void
wf_stack_unprotected(uint32_t n)
{
	(void)wf_add_relaxed(&mprotect_budget, (long)n);
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
