/*
 * Reads what the scheduler counts: adds up over all Ps, and looks at each goroutine. Stops nobody.
 */
#include "debug/metrics.h"

#include "debug/peek.h"
#include "os/os.h"
#include "sched/go.h"
#include "sched/sched.h"

#include <errno.h>
#include <string.h>

_Static_assert(WF_LATENCY_BUCKETS == WEFT_LATENCY_BUCKETS, "promised by the header");

/* All that is read before it is told. */
struct snapshot {
	uint64_t running, runnable, waiting, away;	/* goroutines */
	uint64_t created, steals, polls, futile, overflows;
	uint64_t cached_stacks;
	uint64_t cpu_ns, idle_cpu_ns;
	struct wf_stack_usage stacks;
	uint32_t threads, idle_threads, queued;
};

static void
count_g(struct g *g, void *arg)
{
	struct snapshot *s = arg;
	const struct m *m = NULL;
	uint8_t in_syscall = 0, is_detached = 0;

	if (wf_load_relaxed(&g->id) == 0)
		return;
	switch (wf_load_relaxed(&g->status)) {
	case G_RUNNABLE:
		s->runnable++;
		break;
	case G_WAITING:
		s->waiting++;
		break;
	case G_RUNNING:
	case G_SYSCALL:
		/* Its thread may change under our eyes: read as dumps do. */
		if (wf_peek_copy(&m, (uintptr_t)&g->m, sizeof(m), /* direct */ true) && m != NULL) {
			(void)wf_peek_copy(&in_syscall, (uintptr_t)&m->gate.in_syscall, 1, true);
			(void)wf_peek_copy(&is_detached, (uintptr_t)&m->is_detached, 1, true);
		}
		if (in_syscall || is_detached)
			s->away++;
		else
			s->running++;
		break;
	default:
		break;
	}
}

static void
add_p(struct snapshot *s, const struct p *p)
{
	uint32_t n_stacks = 0;

	s->created += (uint64_t)wf_load_relaxed(&p->n_created);
	s->steals += wf_load_relaxed(&p->n_steals);
	s->polls += wf_load_relaxed(&p->metrics.n_polls);
	s->futile += wf_load_relaxed(&p->metrics.n_futile);
	s->overflows += wf_load_relaxed(&p->metrics.n_overflows);
	(void)wf_peek_copy(&n_stacks, (uintptr_t)&p->n_stacks, sizeof(n_stacks), true);
	s->cached_stacks += n_stacks;
}

static void
take(struct snapshot *s)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	memset(s, 0, sizeof(*s));
	wf_g_each(count_g, s);
	for (uint32_t i = 0; i < n; i++)
		add_p(s, wf_load_acquire(&wf_sched.all_p[i]));
	wf_stack_usage(&s->stacks);
	wf_metrics_cpu(wf_os_now(), &s->cpu_ns, &s->idle_cpu_ns);
	wf_lock(&wf_sched.lock);
	s->threads = wf_sched.n_m + wf_sched.n_foreign + (wf_sched.has_monitor ? 1u : 0u);
	s->idle_threads = wf_sched.n_idle_m;
	s->queued = wf_sched.runq.n;
	wf_unlock(&wf_sched.lock);
}

/* m[0..n) as far as there is room; *at counts on. */
struct list {
	weft_metric *m;
	size_t n, at;
};

static void
put(struct list *l, const char *name, const char *help, int kind, uint64_t value)
{
	if (l->at < l->n)
		l->m[l->at] = (weft_metric){name, help, kind, value};
	l->at++;
}

static void
put_gauge(struct list *l, const char *name, const char *help, uint64_t value)
{
	put(l, name, help, WEFT_METRIC_GAUGE, value);
}

static void
put_counter(struct list *l, const char *name, const char *help, uint64_t value)
{
	put(l, name, help, WEFT_METRIC_COUNTER, value);
}

static void
put_time(struct list *l, const char *name, const char *help, uint64_t ns)
{
	put(l, name, help, WEFT_METRIC_TIME, ns);
}

/* Go's, with Go's meaning. */
static void
put_go(struct list *l, const struct snapshot *s)
{
	put_gauge(l, "/sched/gomaxprocs:threads",
	    "How many goroutines may run at the same time.",
	    wf_load_relaxed(&wf_sched.gomaxprocs));
	put_gauge(l, "/sched/threads/total:threads", "Threads that the runtime knows.", s->threads);
	put_gauge(l, "/sched/goroutines:goroutines", "Live goroutines.",
	    s->running + s->runnable + s->waiting + s->away);
	put_gauge(l, "/sched/goroutines/running:goroutines", "Goroutines that run.", s->running);
	put_gauge(l, "/sched/goroutines/runnable:goroutines", "Goroutines that wait to run.",
	    s->runnable);
	put_gauge(l, "/sched/goroutines/waiting:goroutines",
	    "Goroutines that wait for something: a channel, a lock, a descriptor, a time.",
	    s->waiting);
	put_gauge(l, "/sched/goroutines/not-in-go:goroutines",
	    "Goroutines in a system call or other code, on a thread without a processor.",
	    s->away);
	put_counter(l, "/sched/goroutines-created:goroutines",
	    "Goroutines started on processors since the program began.", s->created);
	put_gauge(l, "/memory/classes/heap/stacks:bytes",
	    "Address space of goroutines' stacks in use; memory only as far as it was touched.",
	    s->stacks.used_bytes - wf_min(s->stacks.used_bytes,
	    s->cached_stacks * wf_stack_default_bytes()));
	put_time(l, "/sync/mutex/wait/total:seconds",
	    "Time that goroutines have waited for mutexes and locks for reading and writing; one "
	    "wait in eight is measured.", wf_load_relaxed(&wf_sched.lock_wait_ns));
	put_time(l, "/cpu/classes/total:cpu-seconds",
	    "Time of all processors, running or not: gomaxprocs times the time since the start.",
	    s->cpu_ns);
	put_time(l, "/cpu/classes/idle:cpu-seconds",
	    "Time of processors that had nothing to run. Estimated: compare it only with others of "
	    "/cpu/classes.", s->idle_cpu_ns);
	put_time(l, "/cpu/classes/user:cpu-seconds",
	    "Time of processors that ran goroutines, or looked for some. Estimated: compare it "
	    "only with others of /cpu/classes.", s->cpu_ns - s->idle_cpu_ns);
}

static void
put_own(struct list *l, const struct snapshot *s)
{
	put_gauge(l, "/weft/sched/idle:processors", "Processors that have nothing to run.",
	    wf_load_relaxed(&wf_sched.n_idle_p));
	put_gauge(l, "/weft/sched/idle:threads", "Threads that sleep until they are needed.",
	    s->idle_threads);
	put_gauge(l, "/weft/sched/spinning:threads", "Threads that look for work.",
	    wf_load_relaxed(&wf_sched.n_spinning));
	put_gauge(l, "/weft/sched/detached:threads",
	    "Threads that run a goroutine without a processor: blocked, or computing for long.",
	    wf_load_relaxed(&wf_sched.n_detached));
	put_gauge(l, "/weft/sched/global-queue:goroutines", "Goroutines on the global queue.",
	    s->queued);
	put_gauge(l, "/weft/sched/starved:goroutines",
	    "Goroutines that wait for memory for a stack.",
	    wf_load_relaxed(&wf_sched.n_starved));
	put_counter(l, "/weft/sched/steals:batches",
	    "Times that a processor took goroutines off another's queue.", s->steals);
	put_counter(l, "/weft/sched/hand-offs:processors",
	    "Processors given to another thread.", wf_load_relaxed(&wf_sched.n_hand_offs));
	put_counter(l, "/weft/sched/detaches/blocked:threads",
	    "Processors taken from threads that had blocked outside of the runtime.",
	    wf_load_relaxed(&wf_sched.n_detach_blocked));
	put_counter(l, "/weft/sched/detaches/computing:threads",
	    "Processors taken from threads that computed for too long.",
	    wf_load_relaxed(&wf_sched.n_detach_computing));
	put_counter(l, "/weft/sched/polls:calls", "Questions to the poller.",
	    s->polls + wf_load_relaxed(&wf_sched.n_idle_polls));
	put_counter(l, "/weft/sched/futile-wakes:wakes",
	    "Times that a thread looked for work everywhere and found none.", s->futile);
	put_counter(l, "/weft/sched/queue-overflows:overflows",
	    "Times that a processor's queue was full and half of it went to the global one.",
	    s->overflows);
	put_gauge(l, "/weft/stacks/mapped:bytes",
	    "Address space of all goroutines' stacks and guards, in use or not.",
	    s->stacks.mapped_bytes);
}

size_t
wf_metrics_read(weft_metric *m, size_t n)
{
	struct list l = {m, n, 0};
	struct snapshot s;

	take(&s);
	put_go(&l, &s);
	put_own(&l, &s);
	return l.at;
}

void
wf_metrics_latency(weft_histogram *ret)
{
	uint32_t n = wf_load_acquire(&wf_sched.n_p);

	memset(ret, 0, sizeof(*ret));
	for (unsigned b = 0; b < WF_LATENCY_BUCKETS; b++)
		ret->below[b] = metrics_bound(b);
	for (uint32_t i = 0; i < n; i++) {
		const struct p_metrics *s = &wf_load_acquire(&wf_sched.all_p[i])->metrics;

		ret->sum_ns += wf_load_relaxed(&s->latency_sum);
		for (unsigned b = 0; b < WF_LATENCY_BUCKETS; b++) {
			uint64_t count = wf_load_relaxed(&s->latency[b]);

			ret->count[b] += count;
			ret->total += count;
		}
	}
}

/* The first call of weft may be one of these: entering makes sure that there is a runtime. */

WF_API_PARKS size_t
weft_metrics_read(weft_metric *m, size_t n)
{
	(void)wf_enter();
	wf_leave();
	return wf_metrics_read(m, n);
}

WF_API_PARKS void
weft_metrics_latency(weft_histogram *ret)
{
	(void)wf_enter();
	wf_leave();
	wf_metrics_latency(ret);
}

WF_API_PARKS int
weft_metrics_write(int fd)
{
	struct wf_out o;

	(void)wf_enter();
	wf_leave();
	wf_out_init(&o, fd);
	wf_metrics_print(&o);
	wf_out_flush(&o);
	return o.is_broken ? -EIO : 0;
}
