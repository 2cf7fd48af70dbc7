/*
 * Birth of goroutines, for the layers above: weft_go itself, scopes, timers.
 */
#ifndef WEFT_SCHED_GO_H
#define WEFT_SCHED_GO_H

#include "sched/g.h"

struct wf_go_args {
	void (*fn)(void *);
	void *arg;
	struct weft_scope *scope;	/* NULL = root */
	const char *name;		/* or NULL; copied */
	size_t stack_size;		/* 0 = default */
	const void *copy;		/* or NULL: copied, and given to fn as its arg */
	size_t copy_size;
	/*
	 * Or NULL: called with ended_arg on the goroutine itself, inside the runtime, after its
	 * last deferred call, whether fn returned or called weft_goexit(). May not park. Not for
	 * one with a scope, which hears of it by wf_scope_leave().
	 */
	void (*ended)(void *);
	void *ended_arg;
	bool is_wrapper;		/* what fn gets begins with the function that users know */
	bool is_nobodys;		/* has no labels of who happens to start it */
	uintptr_t caller_pc;		/* who started it, for "created by" */
};

/* A goroutine that is runnable and on no queue yet, or NULL: out of memory. Fatal for fn NULL. */
struct g *wf_g_new(const struct wf_go_args *a);

/* Starts a goroutine: 0, -ENOMEM. */
int wf_go(const struct wf_go_args *a);

/*
 * After it, where the caller may park. When many are in the ring of its P the newest run first, so
 * that few live at a time; and before it overflows, the goroutine that fills it lets those in it
 * run: they are in the cache still, and most will end and leave their memory to the next. (Go moves
 * half of the ring to the global queue and goes on.) README.md, "Newest first".
 */
WF_PARKS void wf_yield_if_crowded(void);

/* Both in one, for who has but a function, and another that is called with ended_arg at the end. */
WF_PARKS int wf_go_and_tell(void (*fn)(void *), void *arg, void (*ended)(void *), void *ended_arg,
    uintptr_t caller_pc);

/* Calls each(g, arg) for every goroutine that is not dead, bound ones too. Others run on
 * meanwhile: each must expect g to change or die under its eyes (it stays readable). */
void wf_g_each(void (*each)(struct g *g, void *arg), void *arg);

#endif /* WEFT_SCHED_GO_H */
