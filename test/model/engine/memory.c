/*
 * Memory as C11 allows it to look: locations, their modification orders, views. ../README.md,
 * "The memory model".
 */
#include "engine.h"

#include <string.h>

#define GAP 4096		/* between neighbours of an order: twelve insertions fit */
#define HASH 4096

static int16_t table[HASH];		/* index of the location + 1, by address */

void
mc_memory_reset(void)
{
	memset(table, 0, sizeof(table));
	mc.n_locations = mc.n_stores = mc.n_messages = 0;
}

void
mc_view_join(struct view *to, const struct view *from, int n)
{
	for (int i = 0; i < n; i++)
		to->seen[i] = wf_max(to->seen[i], from->seen[i]);
	for (int i = 0; i <= MC_THREADS; i++)
		to->clock[i] = wf_max(to->clock[i], from->clock[i]);
}

void
mc_view_copy(struct view *to, const struct view *from)
{
	memcpy(to->seen, from->seen, (size_t)mc.n_locations * sizeof(to->seen[0]));
	memcpy(to->clock, from->clock, sizeof(to->clock));
}

/* ---- Locations ---- */

static uint64_t
peek(const volatile void *p, size_t size)
{
	uint64_t word = 0;

	memcpy(&word, (const void *)(uintptr_t)p, size);
	return word;
}

static void
poke(struct location *l)
{
	memcpy((void *)(uintptr_t)l->p, &mc.stores[l->last].value, l->size);
}

/* Puts a value right behind `after` (-1: the first) in l's order. */
static int32_t
insert(struct location *l, int32_t after, uint64_t value, const struct mc_site *site)
{
	int32_t i = mc.n_stores++, next = after < 0 ? -1 : mc.stores[after].next;
	struct store *s = &mc.stores[i];

	if (i + 1 >= MC_STORES)
		mc_end(RUN_CUT);
	*s = (struct store){ .value = value, .message = -1, .thread = (uint8_t)mc.current,
		.prev = after, .next = next, .site = site };
	s->at = after < 0 ? 0 : mc.stores[after].at + GAP;
	if (next >= 0) {
		s->at = mc.stores[after].at + (mc.stores[next].at - mc.stores[after].at) / 2;
		mc.stores[next].prev = i;
	}
	if (after >= 0)
		mc.stores[after].next = i;
	if (next < 0)
		l->last = i;
	return i;
}

static struct location *
find(const volatile void *p)
{
	for (size_t h = ((uintptr_t)p >> 1) * 0x9e3779b1u % HASH;; h = (h + 1) % HASH) {
		struct location *l;

		if (table[h] == 0)
			return NULL;
		l = &mc.locations[table[h] - 1];
		if (l->p == p)
			return l;
	}
}

static struct location *
add(volatile void *p, size_t size)
{
	size_t h = ((uintptr_t)p >> 1) * 0x9e3779b1u % HASH;
	int n = mc.n_locations;
	struct location *l = &mc.locations[n];

	if (n + 1 >= MC_LOCATIONS)
		mc_fail(__FILE__, __LINE__, "too many atomic locations for the engine");
	while (table[h] != 0)
		h = (h + 1) % HASH;
	table[h] = (int16_t)(n + 1);
	mc.n_locations++;
	*l = (struct location){ .p = p, .size = size };
	for (int t = 0; t <= MC_THREADS; t++) {
		mc.threads[t].view.seen[n] = 0;
		mc.threads[t].acquired.seen[n] = 0;
		mc.threads[t].released.seen[n] = 0;
	}
	mc.sc.seen[n] = 0;
	mc.stores[insert(l, -1, peek(p, size), NULL)].thread = 0;
	return l;
}

/* The location at p, as the last plain write left it if there was one. */
static struct location *
locate(const volatile void *p, size_t size)
{
	struct location *l = find(p);

	if (l == NULL)
		l = add((volatile void *)(uintptr_t)p, size);
	else if (l->is_dirty || peek(p, size) != mc.stores[l->last].value)
		l->floor = mc.stores[insert(l, l->last, peek(p, size), NULL)].at;
	l->is_dirty = false;
	return l;
}

void
mc_memory_written(const volatile void *p, size_t n)
{
	for (uintptr_t a = (uintptr_t)p & ~(uintptr_t)7; a < (uintptr_t)p + n; a++) {
		struct location *l = find((const volatile void *)a);

		if (l != NULL && a + l->size > (uintptr_t)p)
			l->is_dirty = true;
	}
}

/* ---- Order ---- */

static bool
acquires(enum mc_order o)
{
	return o == MC_ACQUIRE || o == MC_ACQ_REL || o == MC_SEQ_CST;
}

static bool
releases(enum mc_order o)
{
	return o == MC_RELEASE || o == MC_ACQ_REL || o == MC_SEQ_CST;
}

static int
index_of(const struct location *l)
{
	return (int)(l - mc.locations);
}

/* The oldest place that the current thread may still read, or write behind. */
static int32_t
bound(const struct location *l, enum mc_order order)
{
	int32_t at = wf_max(l->floor, mc_self()->view.seen[index_of(l)]);

	return order == MC_SEQ_CST ? wf_max(at, mc.sc.seen[index_of(l)]) : at;
}

/* The current thread has read s. */
static void
have_read(struct location *l, const struct store *s, enum mc_order order)
{
	struct thread *t = mc_self();
	int i = index_of(l);

	t->view.seen[i] = wf_max(t->view.seen[i], s->at);
	if (s->message >= 0)
		mc_view_join(acquires(order) ? &t->view : &t->acquired,
		    &mc.messages[s->message], mc.message_locations[s->message]);
}

/* What a reader of s gets: from its writer, and from the release sequence that it goes on with. */
static void
set_message(struct store *s, enum mc_order order, int16_t from)
{
	struct thread *t = mc_self();
	int m = mc.n_messages;

	if (!releases(order) && !t->has_released) {
		s->message = from;
		return;
	}
	if (m + 1 >= MC_MESSAGES)
		mc_end(RUN_CUT);
	mc.n_messages++;
	mc_view_copy(&mc.messages[m], releases(order) ? &t->view : &t->released);
	mc.message_locations[m] = mc.n_locations;
	if (from >= 0)
		mc_view_join(&mc.messages[m], &mc.messages[from], mc.message_locations[from]);
	s->message = (int16_t)m;
}

/* The current thread has written s. */
static void
have_written(struct location *l, int32_t i, enum mc_order order, int16_t from)
{
	struct store *s = &mc.stores[i];

	mc_self()->view.seen[index_of(l)] = s->at;
	set_message(s, order, from);
	if (order == MC_SEQ_CST)
		mc.sc.seen[index_of(l)] = wf_max(mc.sc.seen[index_of(l)], s->at);
	if (i == l->last)
		poke(l);
	mc.writes++;
}

/* The systematic strategies give up after so many oddities in one execution, and say so. */
static unsigned
n_within_bound(unsigned n)
{
	if (mc.strategy > BY_BOUND || mc.stale < mc.stale_max || n == 1)
		return n;
	mc.is_truncated = true;
	return 1;
}

/*
 * Which store is read: the newest, or one as old as the order allows. With `expected` the value is
 * compared: where it matches it must be possible to write right behind.
 */
static int32_t
choose_store(struct location *l, enum mc_order order, bool writes, const uint64_t *expected)
{
	int32_t found[64], from = bound(l, order);
	struct thread *t = mc_self();
	unsigned n = 0, c;

	for (int32_t i = l->last; i >= 0 && mc.stores[i].at >= from && n < wf_countof(found);
	     i = mc.stores[i].prev) {
		bool must_write = expected != NULL ? mc.stores[i].value == *expected : writes;
		int32_t next = mc.stores[i].next;

		if (must_write && next >= 0 &&
		    (mc.stores[i].is_taken || mc.stores[next].at - mc.stores[i].at < 2))
			continue;
		found[n++] = i;
	}
	if (t->sees_newest) {
		t->sees_newest = false;
		t->newest_read_at = mc.writes;
		n = 1;
	}
	c = mc_decide(PICK_STORE, n_within_bound(n), 0);
	mc_record(n, c);
	mc.stale += c != 0;
	return found[c];
}

static unsigned
newer(const struct location *l, int32_t i)
{
	unsigned n = 0;

	while (i != l->last) {
		i = mc.stores[i].next;
		n++;
	}
	return n;
}

/* ---- Operations ---- */

uint64_t
mc_load(const volatile void *p, size_t size, struct mc_site *site)
{
	struct location *l;
	int32_t i;

	mc_know_site(site);
	if (!mc.is_running)
		return peek(p, size);
	mc_point(OP_LOAD, p, site->order == MC_SEQ_CST);
	l = locate(p, size);
	mc_race_access(p, size, false, site, NULL);
	i = choose_store(l, site->order, false, NULL);
	have_read(l, &mc.stores[i], site->order);
	mc_event("load", site, mc.stores[i].value, mc.stores[i].thread, newer(l, i));
	mc_tick();
	return mc.stores[i].value;
}

/* Behind which store of l's order a new one goes. */
static int32_t
choose_place(struct location *l, enum mc_order order)
{
	int32_t found[16], from = bound(l, order);
	unsigned n = 0, c;

	found[n++] = l->last;
	for (int32_t i = l->last; n < wf_countof(found) && mc.stores[i].at > from;
	     i = mc.stores[i].prev) {
		int32_t before = mc.stores[i].prev;

		if (before >= 0 && mc.stores[before].at >= from && !mc.stores[before].is_taken &&
		    mc.stores[i].at - mc.stores[before].at >= 2)
			found[n++] = before;
	}
	c = mc_decide(PICK_PLACE, n_within_bound(n), 0);
	mc_record(n, c);
	mc.stale += c != 0;
	return found[c];
}

void
mc_store(volatile void *p, size_t size, uint64_t value, struct mc_site *site)
{
	struct location *l;
	int32_t i;

	mc_know_site(site);
	if (!mc.is_running) {
		memcpy((void *)(uintptr_t)p, &value, size);
		return;
	}
	mc_point(OP_WRITE, p, site->order == MC_SEQ_CST);
	l = locate(p, size);
	mc_race_access(p, size, true, site, NULL);
	i = insert(l, choose_place(l, site->order), value, site);
	have_written(l, i, site->order, -1);
	mc_event("store", site, value, -1, newer(l, i));
	mc_tick();
}

static uint64_t
changed(uint64_t old, enum mc_rmw_kind kind, uint64_t arg, size_t size)
{
	uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;

	switch (kind) {
	case MC_XCHG:
		return arg;
	case MC_ADD:
		return (old + arg) & mask;
	case MC_SUB:
		return (old - arg) & mask;
	case MC_OR:
		return old | arg;
	default:
		return old & arg;
	}
}

/* The current thread writes right behind store i, which it has read. */
static void
write_behind(struct location *l, int32_t i, uint64_t value, const struct mc_site *site)
{
	int32_t w;

	mc.stores[i].is_taken = true;
	w = insert(l, i, value, site);
	have_written(l, w, site->order, mc.stores[i].message);
	mc_event(site->op, site, value, mc.stores[i].thread, newer(l, w));
}

uint64_t
mc_rmw(volatile void *p, size_t size, enum mc_rmw_kind kind, uint64_t arg, struct mc_site *site)
{
	struct location *l;
	uint64_t old;
	int32_t i;

	mc_know_site(site);
	if (!mc.is_running) {
		old = peek(p, size);
		arg = changed(old, kind, arg, size);
		memcpy((void *)(uintptr_t)p, &arg, size);
		return old;
	}
	mc_point(OP_WRITE, p, site->order == MC_SEQ_CST);
	l = locate(p, size);
	mc_race_access(p, size, true, site, NULL);
	i = choose_store(l, site->order, true, NULL);
	have_read(l, &mc.stores[i], site->order);
	old = mc.stores[i].value;
	write_behind(l, i, changed(old, kind, arg, size), site);
	mc_tick();
	return old;
}

bool
mc_cas(volatile void *p, size_t size, uint64_t *seen, uint64_t value, struct mc_site *site)
{
	enum mc_order failure = site->order;
	struct location *l;
	bool ok;
	int32_t i;

	mc_know_site(site);
	if (!mc.is_running) {
		ok = peek(p, size) == *seen;
		*seen = peek(p, size);
		if (ok)
			memcpy((void *)(uintptr_t)p, &value, size);
		return ok;
	}
	if (failure == MC_ACQ_REL)
		failure = MC_ACQUIRE;
	else if (failure == MC_RELEASE)
		failure = MC_RELAXED;
	mc_point(OP_WRITE, p, site->order == MC_SEQ_CST);
	l = locate(p, size);
	mc_race_access(p, size, true, site, NULL);
	i = choose_store(l, site->order, true, seen);
	ok = mc.stores[i].value == *seen;
	have_read(l, &mc.stores[i], ok ? site->order : failure);
	*seen = mc.stores[i].value;
	if (ok)
		write_behind(l, i, value, site);
	else
		mc_event("cas fails", site, *seen, mc.stores[i].thread, newer(l, i));
	mc_tick();
	return ok;
}

void
mc_fence_of(struct thread *t, enum mc_order order)
{
	mc_view_join(&t->view, &t->acquired, mc.n_locations);
	/* The order of SC fences says what can be read; it makes no happens-before: no clocks. */
	for (int i = 0; order == MC_SEQ_CST && i < mc.n_locations; i++)
		t->view.seen[i] = mc.sc.seen[i] = wf_max(t->view.seen[i], mc.sc.seen[i]);
	mc_view_copy(&t->released, &t->view);
	t->has_released = true;
}

void
mc_fence(struct mc_site *site)
{
	mc_know_site(site);
	if (!mc.is_running)
		return;
	mc_point(OP_FENCE, NULL, true);
	mc_fence_of(mc_self(), site->order);
	mc_event("fence", site, 0, -1, 0);
	mc_tick();
}
