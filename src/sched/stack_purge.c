/*
 * Giving memory of stacks that nobody has needed for a while back to the system. By the monitor
 * only. README.md, "Stacks".
 */
#include "sched/stack_class.h"

#include "base/race.h"
#include "os/os.h"

#include <stdlib.h>

#define KEEP_DIRTY 64u		/* free stacks of a class whose pages are not given back */

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
	uint32_t n_protected = 0;

	wf_lock(&c->lock);
	wf_stack_clean_put_locked(c, s);
	if (a->n_clean == a->n && c->n_clean_arenas > 1) {
		for (uint32_t i = 0; i < a->n; i++) {
			wf_stack_clean_remove_locked(c, &a->slots[i]);
			if (a->slots[i].is_guarded)
				wf_os_stack_forget(a->slots[i].valgrind_id);
			n_protected += a->slots[i].is_protected;
		}
		if (a->prev != NULL)
			a->prev->next = a->next;
		else
			c->arenas = a->next;
		if (a->next != NULL)
			a->next->prev = a->prev;
		c->n_slots -= a->n;
		gone = true;
	}
	wf_unlock(&c->lock);
	if (gone) {
		wf_os_unmap(a->base, a->bytes);
		wf_stack_unprotected(n_protected);
		wf_race_hide();
		free(a);
		wf_race_show();
	}
}

/*
 * Packed stacks share pages: a page can go when all on it are free, which the last one of them to
 * be purged finds. It takes the others off the clean list, so that nobody gets one meanwhile.
 * Returns the first of *ret_n slots whose page is the caller's now, or NULL.
 */
static struct wf_stack *
take_page(struct stack_class *c, struct wf_stack *s, uint32_t *ret_n)
{
	uint32_t n = (uint32_t)(wf_os_page_size() / c->stride);
	struct wf_stack *all = s->arena->slots, *first = &all[(s - all) / n * n];
	bool is_free = true;

	wf_lock(&c->lock);
	for (uint32_t i = 0; i < n; i++)
		is_free = is_free && (&first[i] == s || first[i].is_clean);
	for (uint32_t i = 0; is_free && i < n; i++)
		if (&first[i] != s)
			wf_stack_clean_remove_locked(c, &first[i]);
	wf_unlock(&c->lock);
	*ret_n = n;
	return is_free ? first : NULL;
}

static void
purge_packed(struct stack_class *c, struct wf_stack *s)
{
	uint32_t n;
	struct wf_stack *first = take_page(c, s, &n);

	if (first == NULL) {
		put_clean(c, s);
		return;
	}
	(void)wf_os_dontneed((void *)first->lo, n * c->stride);
	/* The last of them may take the arena with it. */
	for (uint32_t i = 0; i < n; i++)
		put_clean(c, &first[i]);
}

/* Gives the pages of one batch back. Returns how many stacks it had. */
static uint32_t
purge_batch(struct stack_class *c, int64_t freed_by, bool *ret_young)
{
	struct wf_stack *list = take_old(c, 64, freed_by, ret_young), *next;
	uint32_t n = 0;

	for (struct wf_stack *s = list; s != NULL; s = next, n++) {
		next = s->next;
		if (c->guard == 0) {
			purge_packed(c, s);
			continue;
		}
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

	for (unsigned i = 0; i < STACK_CLASSES; i++) {
		struct stack_class *c = &wf_stack_classes[i];
		bool young;

		while (purge_batch(c, start - min_age_ns, &young) > 0)
			if (wf_os_now() - start >= budget_ns)
				return SCAVENGED_SOME;
		if (young)
			r = SCAVENGED_OLD;
	}
	return r;
}

bool
wf_stack_has_surplus(void)
{
	bool has = false;

	for (unsigned i = 0; i < STACK_CLASSES && !has; i++) {
		struct stack_class *c = &wf_stack_classes[i];

		wf_lock(&c->lock);
		has = c->n_dirty > KEEP_DIRTY;
		wf_unlock(&c->lock);
	}
	return has;
}
