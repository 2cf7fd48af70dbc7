/*
 * Values that a scope keeps for itself and those below it. Reading takes no lock: a list only
 * grows, and ends with the scope. Knows nothing of cancelling.
 */
#include "scope/scope.h"

#include "base/compiler.h"
#include "sched/panic.h"
#include "sched/self.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Life: from the first weft_scope_set() of its key until the scope is freed.
 *
 *   V1  weft_scope.values and value.value: release in weft_scope_set -> acquire in
 *       weft_scope_get. Whoever sees a value sees the entry and the links that lead to it, and
 *       what the setter wrote to the thing itself before.
 */
struct value {
	const void *key;		/* constant */
	_Atomic(void *) value;		/* V1; written under the scope's lock */
	struct value *next;		/* constant */
};

static struct value *
find(const struct weft_scope *s, const void *key)
{
	struct value *v;

	for (v = wf_load_acquire(&s->values); v != NULL; v = v->next)	/* V1 */
		if (v->key == key)
			return v;
	return NULL;
}

int
weft_scope_set(weft_scope *s, const void *key, void *value)
{
	struct value *spare, *v;

	wf_enter();
	wf_scope_need(s, "weft_scope_set");
	if (key == NULL)
		wf_panic("nil key");
	wf_leave();
	wf_race_release(&s->values);
	/* Not under the lock: malloc may be slow. */
	spare = malloc(sizeof(*spare));
	if (spare == NULL)
		return -ENOMEM;

	wf_enter();
	wf_lock(&s->lock);
	v = find(s, key);
	if (v != NULL) {
		wf_store_release(&v->value, value);			/* V1 */
	} else {
		spare->key = key;
		wf_store_relaxed(&spare->value, value);	/* nobody sees it yet */
		spare->next = wf_load_relaxed(&s->values);	/* written under our lock */
		wf_store_release(&s->values, spare);			/* V1 */
		spare = NULL;
	}
	wf_unlock(&s->lock);
	wf_leave();
	free(spare);
	return 0;
}

void *
weft_scope_get(const weft_scope *s, const void *key)
{
	struct value *v;

	for (; s != NULL; s = s->parent) {
		v = find(s, key);
		if (v == NULL)
			continue;
		wf_race_acquire(&s->values);
		return wf_load_acquire(&v->value);			/* V1 */
	}
	return NULL;
}

void
wf_scope_values_free(struct weft_scope *s)
{
	struct value *v = wf_load_relaxed(&s->values);	/* nobody else has s any more */
	struct value *next;

	for (; v != NULL; v = next) {
		next = v->next;
		free(v);
	}
}
