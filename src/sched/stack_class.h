/*
 * What stacks are made of, for the two files that care for them: stack.c and stack_purge.c.
 */
#ifndef WEFT_SCHED_STACK_CLASS_H
#define WEFT_SCHED_STACK_CLASS_H

#include "sched/lock.h"
#include "sched/stack.h"

/* A mapping of many slots. All under the lock of its class, or constant. */
struct arena {
	struct stack_class *class;	/* constant */
	char *base;			/* constant */
	size_t bytes;			/* constant: of the mapping */
	struct arena *next, *prev;	/* on class->arenas */
	uint32_t n;			/* constant: slots */
	uint32_t n_clean;		/* of which are on class->clean */
	struct wf_stack slots[];
};

/* All under its lock but what boot sets. */
struct stack_class {
	struct wf_lock lock;
	size_t usable;			/* constant */
	size_t guard;			/* constant; 0: packed, several to a page */
	size_t stride;			/* constant: usable + guard */
	struct wf_stack *dirty_head;	/* free, pages may be there; newest first */
	struct wf_stack *dirty_tail;
	uint32_t n_dirty;
	struct wf_stack *clean;		/* free, no pages, or packed and not in use */
	uint64_t n_slots, n_clean;	/* mapped; of which on clean */
	uint32_t n_clean_arenas;	/* arenas of which all slots are on clean */
	struct arena *arenas;		/* all of them, newest first */
	uint32_t arena_slots;		/* how many the next arena has */
};

enum {
	CLASS_DEFAULT,
	CLASS_SMALL,
	CLASS_MIN,		/* WF_STACK_MIN, and each of the next twice as large: up to 1 GiB */
	STACK_CLASSES = CLASS_MIN + 17,
};

extern struct stack_class wf_stack_classes[STACK_CLASSES];

/* Puts s on the list of clean ones, and takes it off. Under c->lock. */
void wf_stack_clean_put_locked(struct stack_class *c, struct wf_stack *s) WF_HOLDS(c->lock);
void wf_stack_clean_remove_locked(struct stack_class *c, struct wf_stack *s) WF_HOLDS(c->lock);

/* n guards that mprotect(2) had made are gone. */
void wf_stack_unprotected(uint32_t n);

#endif /* WEFT_SCHED_STACK_CLASS_H */
