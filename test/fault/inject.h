/*
 * Refuses one call of the library to the system, on the real one: what os.h can fail with, at the
 * k-th call of a function. For what the simulator (test/sim/refused.c) does not have: files,
 * processes, signals, sockets, io_uring, the kernel's own behaviour around a failure.
 *
 * The library knows nothing of it: the linker puts inject.c between it and src/os (--wrap).
 */
#ifndef WEFT_TEST_FAULT_INJECT_H
#define WEFT_TEST_FAULT_INJECT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Runs once for each way in which each function fails, at its first call, at its second, ... until
 * it makes fewer. What the scenario does must come to the same end each time, with insist.h for
 * what is told to the caller; then all descriptors are closed again, and memory that stays
 * allocated after a run does not grow with every run. `reached` lists functions of os.h that have
 * to have been refused, separated by spaces ("a|b": one of both, depending on the poller), so that
 * a scenario does not stop testing them unseen.
 */
void refuse_each(void (*scenario)(void), const char *reached);

/* Only these, separated by spaces, for a scenario that takes its time; each has to be refused. */
void refuse_these(void (*scenario)(void), const char *functions);

/*
 * As refuse_each(), but by signals, and below os.h: "read(2)", "poll(2)", ... Nobody is told.
 */
void interrupt_each(void (*scenario)(void), const char *reached);

/* For how long descriptors may still be open after a run. */
extern int refuse_patience_ms;

/* The same by hand: the k-th call of the function from now on fails in the way-th way. */
void inject_arm(const char *function, int way, int k);
/* No more. Returns how many calls of it were made. */
int inject_disarm(void);
/* How many so far; -1: another function is the one, or none. */
int inject_made(const char *function);

/* The failure that is to come or has come: a negative errno; 0: of another kind. */
int injected(void);

/* Functions and their kinds of failure by number, for loops over all. NULL: there are no more. */
const char *inject_name(int i);
bool inject_has(int i, int way);
/* Is it one of names, which are separated by spaces? */
bool inject_is_one_of(const char *name, const char *names);

#endif /* WEFT_TEST_FAULT_INJECT_H */
