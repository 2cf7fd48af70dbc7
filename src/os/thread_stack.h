/*
 * Stacks of kernel threads, for thread.c alone.
 */
#ifndef WEFT_OS_THREAD_STACK_H
#define WEFT_OS_THREAD_STACK_H

#include <stddef.h>

struct thread_stack {
	struct thread_stack *next;
	char *base;		/* of the stack, above a guard; NULL: the C library makes one */
	size_t bytes;
	int tid;		/* who ended on it and may still be ending; 0: nobody */
	void (*fn)(void *);	/* what the thread does */
	void *arg;
};

/* A stack that nobody is on, of that many bytes; or NULL. */
struct thread_stack *wf_thread_stack_take(size_t bytes);
/* Nobody ever came to be on it. */
void wf_thread_stack_put(struct thread_stack *s);
/* The caller, which is on it, ends: the last thing that it does but to leave the C library. */
void wf_thread_stack_end(struct thread_stack *s);

#endif /* WEFT_OS_THREAD_STACK_H */
