/*
 * Simulation: a test runs on a machine of its own, whose clock, threads, network and luck come from
 * a number. A sleep of an hour takes no time, and what fails once fails again with the same seed.
 * (Go: testing/synctest; here the order of everything is simulated, too.)
 *
 * The calls are in libweft-sim, which is all of weft and this. A test links it instead of libweft:
 *
 *   #include <weft.h>
 *   #include <weft/sim.h>
 *   for (uint64_t seed = 1; seed <= 1000; seed++)
 *           if (weft_sim_run(seed, test, NULL) != 0)
 *                   return 1;                              cc test.c -lweft-sim
 *
 * See weft_sim_run(3).
 */
#ifndef WEFT_SIM_H
#define WEFT_SIM_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Faults, in bits. Those of the first line a right program does not notice. */
#define WEFT_SIM_SPURIOUS 0x01u	/* waits in the kernel end without cause, or by a signal */
#define WEFT_SIM_PARTIAL 0x02u	/* reads and writes of streams do a part; -EAGAIN after readiness */
#define WEFT_SIM_STALL 0x04u	/* threads get no processor for up to 50 ms, wherever they stand */
#define WEFT_SIM_THREADS 0x08u	/* no new thread can be had for a moment */
#define WEFT_SIM_LUCK 0x0fu	/* all of these */
#define WEFT_SIM_NO_MEMORY 0x10u	/* no memory for stacks: weft_go says -ENOMEM */
#define WEFT_SIM_NO_FILES 0x20u	/* -EMFILE and -ECONNABORTED from what makes sockets */

typedef struct weft_sim_options {	/* zero = defaults; size-versioned by the first member */
	size_t      size;		/* sizeof(weft_sim_options) */
	int         procs;		/* processors of the machine; 0 = 1 to 4, by the seed */
	unsigned    faults;		/* WEFT_SIM_...; 0 = WEFT_SIM_LUCK */
	bool        no_faults;		/* none at all */
	uint64_t    max_steps;		/* ends as a livelock; 0 = 1,000,000,000 */
	uint64_t    fail_at;		/* the call of this number for a resource fails; 0 = none */
} weft_sim_options;

typedef struct weft_sim_result {
	int         failed;		/* 0: fn returned, and all its goroutines have ended */
	uint64_t    hash;		/* of every choice made: the same for the same seed */
	uint64_t    steps;		/* how many points the run went through */
	int64_t     elapsed_ns;		/* by the simulated clock */
	uint64_t    calls;		/* for resources: what fail_at counts */
	char        what[160];		/* what went wrong, or "" */
} weft_sim_result;

/**
 * weft_sim_run - runs fn(arg) as the main goroutine of a simulated machine, and all it starts
 * @seed: decides everything that is left to chance: two runs with one seed are the same run
 *
 * Returns 0 when fn has returned and every goroutine it started has ended within an hour of
 * simulated time; 1 when not: a deadlock, a goroutine that is left, a panic, a failed assertion, a
 * wake-up that was lost. What it was, and the seed, is on stderr. -ENOMEM, -EAGAIN, -EMFILE: there
 * was no process for it. -EBUSY: this process has called weft already, outside of a simulation.
 *
 * With WEFT_SIM_SEED=n in the environment only the runs with that seed are made, and all others
 * return 0 at once: so a failure can be looked at again, as stderr says.
 *
 * The run is in a child of the process: what fn writes to memory the caller does not see, and it
 * may crash. Blocking: until the run is over. Context: a thread that has not called weft.
 */
WEFT_API int weft_sim_run(uint64_t seed, void (*fn)(void *), void *arg);

/**
 * weft_sim_run_with - the same with options, and what came of it
 * @o: NULL for the defaults
 * @ret: filled also for a run that failed; NULL is allowed
 *
 * With fail_at = 1, 2, ... until a run has made fewer calls, everything that weft asks of the
 * system after its start - memory, descriptors, threads - is refused once: with -ENOMEM, -EMFILE or
 * -EAGAIN.
 */
WEFT_API int weft_sim_run_with(const weft_sim_options *o, uint64_t seed, void (*fn)(void *),
    void *arg, weft_sim_result *ret);

/**
 * weft_sim_compute - takes ns of the thread's time, as a loop that never calls weft does
 *
 * In a run only; else it returns at once, as do the two below. Blocking: the thread.
 */
WEFT_API void weft_sim_compute(int64_t ns);

/**
 * weft_sim_block - sleeps in the kernel for ns, as a call of libc does that weft knows nothing of
 */
WEFT_API void weft_sim_block(int64_t ns);

/**
 * weft_sim_thread - a thread that weft did not start
 *
 * Returns 0, -EAGAIN, -ENOSYS outside of a run. The run is not over before fn has returned.
 */
WEFT_API int weft_sim_thread(void (*fn)(void *), void *arg);

/**
 * weft_sim_random - the next number of the run's own sequence; 0 outside of a run
 */
WEFT_API uint64_t weft_sim_random(void);

WEFT_END_DECLS

#endif /* WEFT_SIM_H */
