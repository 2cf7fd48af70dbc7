/*
 * What every benchmark shares: each run of a case is a process of its own, pinned, and its values
 * come back over a pipe. All who do the same work (weft, the system's threads, Go, ...) take turns,
 * round by round; the parent prints medians, spreads and ratios, and writes TSV.
 *
 * The parent never calls weft. It knows nothing of what is measured. See bench/README.md.
 */
#ifndef WEFT_BENCH_HARNESS_H
#define WEFT_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One case: what one process does. procs CPUs are allowed (the first ones of the affinity mask)
 * and weft gets as many processors. Cases of one name do the same work by different means; so does
 * a case of that name in a program of peers/.
 */
struct bench_case {
	const char *name;		/* of the metric, if the case reports only one */
	const char *by;			/* who does the work; NULL: weft */
	void (*run)(long arg);		/* calls bench_value() at least once */
	long arg;
	int procs;
	int max_reps;			/* 0: as many as asked for */
	int limit_s;			/* killed after this many seconds; 0: 120 */
};

/* main() of a benchmark. argv: [--list] [NAME...], a name being the start of a case's. */
int bench_main(int argc, char **argv, const struct bench_case *cases, size_t n);

/* In a case: one value of this run. NULL is the case's own name; else "case.what". */
void bench_value(const char *what, const char *unit, double value);
/* In a case: a run that is worth less because it is short. */
bool bench_quick(void);
/* n, or a tenth of it (at least 1) when QUICK. */
long bench_n(long n);
/* In a case: it cannot be measured on this machine, and why. Does not return. */
void bench_skip(const char *why) __attribute__((noreturn));
/* In a case: what must hold did not. Does not return. */
void bench_fail(const char *why) __attribute__((noreturn));
#define BENCH_CHECK(cond) ((cond) ? (void)0 : bench_fail(#cond))

/* Nanoseconds of CLOCK_MONOTONIC, without weft; and CPU time of this process. */
int64_t bench_now(void);
int64_t bench_cpu(void);
/* In a case: reports what a round of `what` takes, of n rounds. */
#define BENCH_MEASURE(n, what) do { \
	long n_ = bench_n(n); \
	int64_t start_ = bench_now(); \
	for (long i_ = 0; i_ < n_; i_++) { \
		what; \
	} \
	bench_value(NULL, "ns", (double)(bench_now() - start_) / (double)n_); \
} while (0)
/* A number of /proc/self/status ("VmRSS", in KiB; "Threads"). */
long bench_status(const char *field);

/* A set of durations of which percentiles are reported. */
struct bench_lat {
	int64_t *ns;
	size_t n, room;
};

void bench_lat_add(struct bench_lat *l, int64_t ns);
/* Reports NAME_p50, _p90, _p99 and _max in microseconds. */
void bench_lat_report(struct bench_lat *l, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_BENCH_HARNESS_H */
