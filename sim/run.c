/*
 * The public calls. A run is a child of the process: it begins with a runtime that nobody has
 * touched, it may end in any way, and the next begins from where this one did.
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"
#include "sched/sched.h"

#include <weft/go.h>
#include <weft/sim.h>
#include <weft/time.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS ((int64_t)1 << 40)	/* the clock is not 0: that is WEFT_NOW */
#define DRAIN_NS ((int64_t)3600 * 1000000000)
#define STEPS_MAX 1000000000u

struct run {
	void (*fn)(void *);
	void *arg;
};

/* ---- In the child ---- */

static __attribute__((noreturn)) void
report(int failed, const char *what)
{
	weft_sim_result r = {
	    .failed = failed,
	    .hash = wf_sim.hash,
	    .steps = wf_sim.steps,
	    .elapsed_ns = wf_sim.now - wf_sim.start,
	    .calls = wf_sim.calls,
	};

	snprintf(r.what, sizeof(r.what), "%s", what);
	wf_sim.current = NULL;
	fflush(NULL);
	(void)wf_real_write(wf_sim.report_fd, &r, sizeof(r));
	_exit(failed);
}

void
wf_sim_fail(const char *fmt, ...)
{
	char what[sizeof(((weft_sim_result *)0)->what)];
	va_list ap;

	wf_sim.current = NULL;
	wf_sim.has_failed = true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	wf_dump_all(STDERR_FILENO);
	report(1, what);
}

/* The main goroutine: fn, and then until all others have ended. */
static void
run_main(void *p)
{
	struct run *r = p;
	int64_t until;

	(void)weft_numgoroutine();
	wf_sim.is_up = true;
	r->fn(r->arg);
	until = weft_in(DRAIN_NS);
	for (int64_t ns = 1000; weft_numgoroutine() > 1 || wf_sim.n_foreign > 0; ns *= 2) {
		if (weft_now() >= until)
			wf_sim_fail("%d goroutines are left an hour after the run's end",
			    weft_numgoroutine() - 1);
		(void)weft_sleep(ns);
	}
	report(0, "");
}

#ifdef WEFT_DEBUG_BUILD
static void
at_point(const char *name)
{
	(void)name;
	if (wf_sim_is_on() && wf_sim_below(2) == 0)
		wf_sim.quantum = 1;
	wf_sim_step();
}
#endif

/* What the seed says of io_uring, unless WEFT_POLLER does. */
static void
choose_ring(void)
{
	static const enum sim_ring rings[] = {SIM_NO_RING, SIM_NO_RING, SIM_RING, SIM_RING_FOR_ALL};

	wf_sim.ring = rings[wf_sim_below(wf_countof(rings))];
	wf_sim.ring_is_old = wf_sim_below(4) == 0;
	wf_sim.file_system_is_old = wf_sim_below(4) == 0;
	wf_sim.ring_due = INT64_MAX;
	wf_sim.poller = wf_real_getenv("WEFT_POLLER");
	if (wf_sim.poller == NULL && wf_sim.ring == SIM_RING_FOR_ALL)
		wf_sim.poller = "uring";
	else if (wf_sim.poller != NULL && strcmp(wf_sim.poller, "uring") == 0)
		wf_sim.ring = SIM_RING_FOR_ALL;
}

static void
begin(const weft_sim_options *o, uint64_t seed, struct run *r)
{
	static struct sim_thread outside;	/* the real thread, which waits for ever */
	static const uint32_t means[] = {2, 8, 32, 128, 512, 2048};
	struct sim_thread *t;

	wf_sim.options = *o;
	wf_sim.seed = seed;
	wf_rand_init(&wf_sim.rand, seed);
	wf_sim.now = wf_sim.start = START_NS;
	wf_sim.next_deadline = INT64_MAX;
	wf_sim.step_ns = 1 + wf_sim_below(30);
	wf_sim.quantum_mean = means[wf_sim_below(wf_countof(means))];
	wf_sim.quantum = 1;
	wf_sim.stall_one_in = 32u << wf_sim_below(6);
	wf_sim.style = (enum sim_style)wf_sim_below(SIM_STYLES);
	wf_sim.faults_until = wf_sim_below(4) == 0 ? 0 : 1u << (4 + wf_sim_below(16));
	choose_ring();
	if (wf_sim.options.procs <= 0)
		wf_sim.options.procs = 1 + (int)wf_sim_below(4);
	if (wf_sim.options.faults == 0)
		wf_sim.options.faults = WEFT_SIM_LUCK;
	if (wf_sim.options.no_faults)
		wf_sim.options.faults = 0;
	if (wf_sim.options.max_steps == 0)
		wf_sim.options.max_steps = STEPS_MAX;
#ifdef WEFT_DEBUG_BUILD
	wf_point_hook = at_point;	/* nor does WEFT_PERTURB choose anything here */
	wf_perturb_hook = NULL;
#endif
	t = wf_sim_thread_new(run_main, r, (size_t)1 << 20);
	if (t == NULL)
		_exit(1);
	wf_sim.current = t;
	(void)wf_ctx_switch(&outside.ctx, &t->ctx, NULL);
	__builtin_unreachable();
}

/* ---- In the process that asks ---- */

/* Is another seed asked for than this one? */
static bool
is_left_out(uint64_t seed)
{
	const char *only = wf_real_getenv("WEFT_SIM_SEED");

	return only != NULL && *only != '\0' && strtoull(only, NULL, 0) != seed;
}

/* The command that started this program, for a shell. */
static void
print_command(void)
{
	static const char special[] = " \t\n'\"\\$`&|;<>()*?[#~";
	char line[4096];
	ssize_t n = wf_real_read_file("/proc/self/cmdline", line, sizeof(line));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(line + i) + 1) {
		bool is_plain = line[i] != '\0' && strpbrk(line + i, special) == NULL;
		const char *quote = is_plain ? "" : "'";

		fprintf(stderr, " %s%s%s", quote, line + i, quote);
	}
}

/* Says what came of it in one line, and in another how to see it again. */
static void
complain(uint64_t seed, const weft_sim_result *r)
{
	fprintf(stderr, "weft_sim: seed %" PRIu64 ": %s (after %" PRId64 " us and %" PRIu64
	    " steps)\n", seed, r->what, r->elapsed_ns / 1000, r->steps);
	fprintf(stderr, "weft_sim: again: WEFT_SIM_SEED=%" PRIu64, seed);
	print_command();
	fputc('\n', stderr);
}

/* Waits for the child, which has reported or has not. */
static void
conclude(pid_t pid, int fd, weft_sim_result *r)
{
	ssize_t n = wf_real_read(fd, r, sizeof(*r));
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (n == (ssize_t)sizeof(*r))
		return;
	memset(r, 0, sizeof(*r));
	r->failed = 1;
	if (WIFSIGNALED(status))
		snprintf(r->what, sizeof(r->what), "the run died of signal %d", WTERMSIG(status));
	else
		snprintf(r->what, sizeof(r->what), "the run ended the process with status %d",
		    WEXITSTATUS(status));
}

int
weft_sim_run_with(const weft_sim_options *o, uint64_t seed, void (*fn)(void *), void *arg,
    weft_sim_result *ret)
{
	weft_sim_options options = {0};
	struct run run = {.fn = fn, .arg = arg};
	weft_sim_result r;
	int ends[2], e;
	pid_t pid;

	if (wf_sim_is_on() || wf_load_relaxed(&wf_sched.n_p) != 0)
		return -EBUSY;
	if (is_left_out(seed)) {
		if (ret != NULL)
			*ret = (weft_sim_result){0};
		return 0;
	}
	if (o != NULL)
		memcpy(&options, o, o->size < sizeof(options) ? o->size : sizeof(options));
	if ((e = wf_os_pipe(ends)) < 0)
		return e;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)close(ends[0]);
		wf_sim.report_fd = ends[1];
		begin(&options, seed, &run);
	}
	e = errno;
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return -e;
	}
	conclude(pid, ends[0], &r);
	(void)close(ends[0]);
	if (r.failed)
		complain(seed, &r);
	if (ret != NULL)
		*ret = r;
	return r.failed;
}

int
weft_sim_run(uint64_t seed, void (*fn)(void *), void *arg)
{
	return weft_sim_run_with(NULL, seed, fn, arg, NULL);
}

/* ---- For the run ---- */

/* The thread is in the user's code, or deeper, for so long. */
static void
stay_outside(enum sim_state state, int64_t ns)
{
	int64_t until;

	if (!wf_sim_is_on() || ns <= 0)
		return;
	until = weft_in(ns);
	wf_sim.n_outside++;
	(void)wf_sim_block(state, until);
	wf_sim.n_outside--;
}

void
weft_sim_compute(int64_t ns)
{
	stay_outside(SIM_BUSY, ns);
}

void
weft_sim_block(int64_t ns)
{
	stay_outside(SIM_BLOCKED, ns);
}

int
weft_sim_thread(void (*fn)(void *), void *arg)
{
	struct sim_thread *t;

	if (!wf_sim_is_on())
		return -ENOSYS;
	t = wf_sim_thread_new(fn, arg, (size_t)1 << 20);
	if (t == NULL)
		return -EAGAIN;
	t->is_foreign = true;
	wf_sim.n_foreign++;
	return 0;
}

uint64_t
weft_sim_random(void)
{
	uint64_t high;

	if (!wf_sim_is_on())
		return 0;
	high = wf_rand_u32(&wf_sim.rand);
	return high << 32 | wf_rand_u32(&wf_sim.rand);
}
