/*
 * Birth of goroutines, and the small public calls around them.
 */
#include "sched/go.h"

#include <weft/go.h>
#include "os/os.h"
#include "sched/gcache.h"
#include "sched/panic.h"
#include "sched/pick.h"
#include "sched/tags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The rare parts of a birth: a name, a copied argument, a stack of its own size. */
static WF_NOINLINE bool
set_options(struct g *g, const struct wf_go_args *a)
{
	unsigned flags = a->is_wrapper ? GF_WRAPPED : 0;

	if (a->name != NULL && a->name[0] != '\0' && !wf_tags_name(g, a->name))
		return false;
	if (a->copy != NULL) {
		void *copy = malloc(a->copy_size != 0 ? a->copy_size : 1);

		if (copy == NULL) {
			wf_tags_drop(g);
			return false;
		}
		memcpy(copy, a->copy, a->copy_size);
		g->arg = copy;
		flags |= GF_OWN_ARG;
	}
	wf_store_relaxed(&g->flags, (uint8_t)flags);
	g->stack_class = (uint32_t)a->stack_size;
	return true;
}

/*
 * The birth of a goroutine is in two halves, inline, with what may be rare between them: one that
 * has but a function costs no args that are filled, passed, and looked at.
 */
static WF_ALWAYS_INLINE struct g *
conceive(struct p *p, void (*fn)(void *), void *arg, uintptr_t caller_pc)
{
	struct g *g;

	if (wf_unlikely(fn == NULL))
		wf_fatal("go of nil func value");
	/* Others have memory for all but a stack already, and wait for that. */
	if (wf_unlikely(wf_load_relaxed(&wf_sched.n_starved) != 0))
		return NULL;
	g = g_alloc(p);
	if (wf_unlikely(g == NULL))
		return NULL;
	g->fn = fn;
	g->arg = arg;
	g->created_pc = caller_pc;
	g->scope = NULL;
	g->stack_class = 0;
	return g;
}

static WF_ALWAYS_INLINE struct g *
bear(struct m *m, struct p *p, struct g *g, bool is_nobodys)
{
	const struct g *parent = m->gate.g;

	g->parent_id = 0;
	if (parent != NULL) {
		g->parent_id = wf_load_relaxed(&parent->id);
		if (wf_unlikely(wf_load_relaxed(&parent->tags) != NULL) && !is_nobodys)
			wf_tags_inherit(g, parent);
	}
	wf_store_relaxed(&g->id, goid_new(m, p));
	wf_store_relaxed(&g->since, wf_load_relaxed(&wf_sched.now_coarse));
	WF_EVENT(go, m, g);
	wf_race_release(g);
	/* From here on it is there for those who go through all goroutines. */
	wf_store_release(&g->status, G_RUNNABLE);
	if (wf_likely(p != NULL))
		wf_store_relaxed(&p->n_created, wf_load_relaxed(&p->n_created) + 1);
	else
		(void)wf_add_relaxed(&wf_sched.n_outside, 1);
	return g;
}

struct g *
wf_g_new(const struct wf_go_args *a)
{
	struct m *m = wf_self();
	struct p *p = m->p;
	struct g *g = conceive(p, a->fn, a->arg, a->caller_pc);

	if (wf_unlikely(g == NULL))
		return NULL;
	g->scope = a->scope;
	g->ended = a->ended;
	g->ended_arg = a->ended_arg;
	if (wf_unlikely(a->name != NULL || a->copy != NULL || a->stack_size != 0 ||
	    a->is_wrapper) &&
	    !set_options(g, a)) {
		wf_g_free(g);
		return NULL;
	}
	return bear(m, p, g, a->is_nobodys);
}

static WF_ALWAYS_INLINE int
start(struct m *m, struct g *g)
{
	if (wf_unlikely(g == NULL))
		return -ENOMEM;
	WF_PROBE2(go, WF_PROBE_U64(&g->id), g->fn);
	wf_put_ready(m, g);
	return 0;
}

/* One that has but a function, and another that is told of its end. */
static WF_ALWAYS_INLINE int
go(struct m *m, void (*fn)(void *), void *arg, void (*ended)(void *), void *ended_arg,
    uintptr_t caller_pc)
{
	struct p *p = m->p;
	struct g *g = conceive(p, fn, arg, caller_pc);

	if (wf_unlikely(g == NULL))
		return -ENOMEM;
	g->ended = ended;
	g->ended_arg = ended_arg;
	return start(m, bear(m, p, g, /* is_nobodys */ false));
}

int
wf_go(const struct wf_go_args *a)
{
	return start(wf_self(), wf_g_new(a));
}

/* Are so many in the ring of the P that the newest should run first? */
static inline bool
is_crowded(const struct m *m)
{
	return m->p != NULL && runq_len_racy(&m->p->runq) >= RUNQ_CROWD;
}

static WF_PARKS void
yield_if_full(struct m *m)
{
	if (wf_pick_crowded(m->p))
		wf_yield();
}

WF_PARKS void
wf_yield_if_crowded(void)
{
	struct m *m = wf_self();

	if (is_crowded(m))
		yield_if_full(m);
}

WF_PARKS int
wf_go_and_tell(void (*fn)(void *), void *arg, void (*ended)(void *), void *ended_arg,
    uintptr_t caller_pc)
{
	struct m *m = wf_self();
	int r = go(m, fn, arg, ended, ended_arg, caller_pc);

	if (wf_unlikely(is_crowded(m)))
		yield_if_full(m);
	return r;
}

WF_API_PARKS int
weft_go(void (*fn)(void *), void *arg)
{
	struct m *m = wf_enter();
	int r = go(m, fn, arg, NULL, NULL, (uintptr_t)__builtin_return_address(0));

	if (wf_unlikely(is_crowded(m)))
		yield_if_full(m);
	wf_leave();
	return r;
}

WF_API_PARKS int
weft_go_with(const weft_go_options *o, void (*fn)(void *), void *arg)
{
	struct wf_go_args a = {
		.fn = fn,
		.arg = arg,
		.caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	weft_go_options all = { 0 };
	int r;

	if (o != NULL) {
		if (o->size == 0)
			return -EINVAL;
		/*
		 * Older programs have a shorter struct, newer ones a longer: what both know
		 * counts.
		 */
		memcpy(&all, o, wf_min(o->size, sizeof(all)));
		if (all.stack_size > WF_STACK_MAX)
			return -EINVAL;
		a.name = all.name;
		a.stack_size = all.stack_size;
		a.copy = all.copy;
		a.copy_size = all.copy_size;
	}
	(void)wf_enter();
	r = wf_go(&a);
	wf_yield_if_crowded();
	wf_leave();
	return r;
}

WF_API_PARKS void
weft_yield(void)
{
	(void)wf_enter();
	wf_yield();
	wf_leave();
}

WF_API_PARKS void
weft_goexit(void)
{
	struct m *m = wf_enter();
	struct g *g = m->gate.g;
	uint8_t flags = wf_load_relaxed(&g->flags);

	if (flags & GF_BOUND) {
		if (g->defers != NULL)
			wf_run_defers(g);
		wf_leave();
		wf_os_thread_exit();
	}
	if (!(flags & GF_MAIN))
		wf_g_exit(g);
	/* The stack of main is the process's: it waits for ever, and the others go on. */
	if (g->defers != NULL)
		wf_run_defers(g);
	wf_lock(&wf_sched.lock);
	wf_sched.main_exited = true;
	wf_unlock(&wf_sched.lock);
	(void)wf_add_relaxed(&wf_sched.n_outside, -1);
	for (;;)
		(void)wf_park(NULL, NULL, WAIT_GOEXIT, WEFT_FOREVER, false);
}

uint64_t
weft_goid(void)
{
	uint64_t id;

	(void)wf_enter();
	id = wf_load_relaxed(&wf_g()->id);
	wf_leave();
	return id;
}

int
weft_numcpu(void)
{
	return wf_numcpu();
}

/* Born minus ended, over all places that count. Exact when nothing moves. */
int
wf_numgoroutine(void)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);
	int64_t sum = wf_load_relaxed(&wf_sched.n_outside);

	for (uint32_t i = 0; i < n; i++) {
		const struct p *p = wf_load_acquire(&wf_sched.all_p[i]);

		sum += wf_load_relaxed(&p->n_created) - wf_load_relaxed(&p->n_ended);
	}
	return (int)sum;
}

int
weft_numgoroutine(void)
{
	int n;

	(void)wf_enter();
	n = wf_numgoroutine();
	wf_leave();
	return n;
}
