/*
 * What a scenario is, and what it may call. README.md says how to write one.
 *
 *   static void writer(void) { wf_store_release(&flag, 1); }
 *   ...
 *   SCENARIO(message_passing, .threads = {writer, reader}, .setup = reset)
 *
 * A program of scenarios is linked with the engine, with the files of src/ that it checks,
 * and with stand-ins for what those call. The build finds scenarios by the text at column 0.
 */
#ifndef WEFT_MODEL_EXPLORE_H
#define WEFT_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MC_THREADS 8

struct mc_scenario {
	const char *name;
	void (*threads[MC_THREADS])(void);	/* up to the first NULL; all start at once */
	void (*setup)(void);		/* before them, alone; puts everything back; or NULL */
	/* After them: all have ended, or with may_rest some may sleep for ever. Or NULL. */
	void (*check)(void);
	bool may_rest;
	const char *finds;	/* a bug is planted: a failure with this text must be found */
	/*
	 * Words that mc_outcome() may say, and no others; each strategy alone must come upon them
	 * all, but the one of few preemptions not upon those that are `far`. Or NULL.
	 */
	const char *outcomes, *far;
	unsigned runs;		/* executions per strategy; 0: the default */
	unsigned steps;		/* atomic operations before an execution is given up; 0: default */
	unsigned wakes;		/* futex waits that may end for no reason, per execution */
	unsigned early;		/* deadlines that may pass while others run, per execution */
	struct mc_scenario *next;
};

void mc_register(struct mc_scenario *s);

#define SCENARIO(id, ...) \
	static struct mc_scenario mc_scenario_##id = { .name = #id, __VA_ARGS__ }; \
	__attribute__((constructor)) static void mc_register_##id(void) \
	{ \
		mc_register(&mc_scenario_##id); \
	}

/*
 * Whose orders are weakened by --weaken: parts of "FILE FUNCTION", up to NULL. Each program
 * defines it.
 */
extern const char *const mc_subjects[];

/*
 * Files of src/, by their last names up to NULL, whose static variables the engine puts back before
 * each execution. A program defines it if it has any.
 */
extern const char *const mc_put_back[] __attribute__((weak));

/* Ends this execution as a failure. Usable in threads, setup and check. */
__attribute__((noreturn, format(printf, 3, 4))) void mc_fail(
    const char *file, int line, const char *fmt, ...);

#define MC_ASSERT(cond) \
	do { \
		if (!(cond)) \
			mc_fail(__FILE__, __LINE__, "not so: %s", #cond); \
	} while (0)

/* How this execution has ended, for `outcomes`. */
__attribute__((format(printf, 1, 2))) void mc_outcome(const char *fmt, ...);
/* 0..n-1: all of them are tried. */
unsigned mc_choose(unsigned n);
/* Another thread, which sees all that the caller did. Its number. */
int mc_spawn(void (*fn)(void *), void *arg);
/* The number of the thread that runs: 1, 2, ...; 0 in setup and check. */
int mc_thread(void);
/* Has thread t ended? For check. */
bool mc_has_ended(int t);
/* Ends the calling thread. */
__attribute__((noreturn)) void mc_thread_end(void);

/* The futex(2) of the model. 0, -EAGAIN, -ETIMEDOUT. deadline in mc_now()'s time or INT64_MAX. */
int mc_futex_wait(const volatile void *word, uint32_t expected, int64_t deadline);
int mc_futex_wake(const volatile void *word, int n);
/* Each thread passes a full fence somewhere between beginning and end of the call. */
void mc_membarrier(void);
/* Waits until another thread has written something; or, now and then, not. */
void mc_relax(void);
/* A clock that moves when the model says so. */
int64_t mc_now(void);
void mc_advance(int64_t ns);
/* Where the thread-local lies that belongs to whichever thread runs; NULL: there is none. */
void mc_thread_local(void **slot);

#endif /* WEFT_MODEL_EXPLORE_H */
