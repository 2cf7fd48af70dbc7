/*
 * What must hold whenever no thread can go on: the machine is at rest, so that the queues can be
 * looked at as they are. README.md, "What is checked".
 */
#include "world.h"

#include "sched/sched.h"

#include <string.h>

/*
 * For how long work may wait beside an idle P. Next to nothing: who waits for the runtime's lock
 * sleeps for 0.5 ms at a time. But a yield wakes nobody, and if what runs next then computes or
 * blocks in the kernel, only the monitor's next round finds out.
 */
#define WASTE_NS_MAX 1000000
#define WASTE_OUTSIDE_NS_MAX 11000000
#define BACK_OFF_NS 250000000	/* for how long a thread that is refused is asked for again */

/* Does a goroutine wait for a P? */
static bool
work_waits(void)
{
	uint32_t n = wf_load_relaxed(&wf_sched.n_p);

	if (wf_load_relaxed(&wf_sched.runq_len) != 0)
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (!runq_is_empty(&wf_load_relaxed(&wf_sched.all_p[i])->runq))
			return true;
	return false;
}

void
wf_sim_check_rest(int64_t until)
{
	struct sim_thread *t = wf_sim.current;

	/*
	 * A thread that gets no processor may have brought work and told nobody yet, and so may one
	 * that waits until it can have the thread it is to start.
	 */
	wf_sim.current = NULL;	/* what is asked here is no step */
	if (wf_sim.n_stalled == 0 && wf_sim.now - wf_sim.refused_at > BACK_OFF_NS &&
	    wf_load_relaxed(&wf_sched.n_idle_p) != 0 && work_waits())
		wf_sim.waste_ns += until - wf_sim.now;
	else
		wf_sim.waste_ns = 0;
	wf_sim.current = t;
	if (wf_sim.waste_ns > (wf_sim.n_outside != 0 ? WASTE_OUTSIDE_NS_MAX : WASTE_NS_MAX))
		wf_sim_fail("a lost wake-up: a goroutine waited for %lld us while a P was idle",
		    (long long)wf_sim.waste_ns / 1000);
}

/*
 * For how long the first of a queue may stay the first while threads get their processors: what is
 * before it has ended its slice (10 ms) by then, several times, if it must.
 */
#define STARVED_NS_MAX 100000000

/* The first of a queue. What takes it and brings it back unseen would have to do so each time. */
struct first {
	uint64_t id;		/* of the goroutine; of a ring: its place. 0: the queue is empty */
	int64_t since;
};

static void
check_first(struct first *f, uint64_t id, const char *queue)
{
	if (f->id != id || id == 0)
		*f = (struct first){.id = id, .since = wf_sim.now};
	else if (wf_sim.now - f->since > STARVED_NS_MAX)
		wf_sim_fail("starvation: the first of %s has waited for %lld us", queue,
		    (long long)(wf_sim.now - f->since) / 1000);
}

void
wf_sim_check_turns(void)
{
	enum { PS = 16 };
	static struct first global, rings[PS];
	struct sim_thread *t = wf_sim.current;
	uint32_t n;

	if (wf_sim.n_stalled != 0 || wf_sim.n_outside != 0 ||
	    wf_sim.now - wf_sim.refused_at <= BACK_OFF_NS) {
		global.id = 0;
		memset(rings, 0, sizeof(rings));
		return;
	}
	wf_sim.current = NULL;	/* what is asked here is no step */
	n = wf_min(wf_load_relaxed(&wf_sched.n_p), (uint32_t)PS);
	check_first(&global, wf_load_relaxed(&wf_sched.runq_len) == 0 ? 0
	    : (uint64_t)(uintptr_t)wf_sched.runq.head, "the global queue");
	for (uint32_t i = 0; i < n; i++) {
		const struct runq *q = &wf_load_relaxed(&wf_sched.all_p[i])->runq;

		check_first(&rings[i], runq_len_racy(q) == 0 ? 0
		    : 1 + (uint64_t)wf_load_relaxed(&q->head), "a processor's queue");
	}
	wf_sim.current = t;
}

void
wf_sim_standstill(void)
{
	bool waits;

	wf_sim_check_rest(INT64_MAX);
	wf_sim.current = NULL;
	waits = work_waits();
	wf_sim_fail("all threads sleep for ever%s", waits ? ", and a goroutine waits to run" : "");
}
