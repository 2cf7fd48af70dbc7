/*
 * What a process and those that it forked use together, for cases that have more than one process.
 */
#ifndef WEFT_BENCH_USAGE_H
#define WEFT_BENCH_USAGE_H

struct usage {
	double ms;			/* of CPU */
	long switches;
};

/*
 * Reports memory, processes and threads as they are now. Shared pages count once (Pss); page
 * tables are in it, what else the kernel keeps for a thread or a process is not. BENCH_PSTREE=1
 * shows the tree as well.
 */
void usage_sample(void);

/* RUSAGE_SELF, or RUSAGE_CHILDREN for those that have been waited for. */
struct usage usage_of(int who);

/* Reports CPU time and switches: ours, and those of children waited for after `before`. */
void usage_report(struct usage before);

#endif /* WEFT_BENCH_USAGE_H */
