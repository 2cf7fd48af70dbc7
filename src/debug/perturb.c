/*
 * WEFT_PERTURB=SEED, in debug builds: threads lose their CPU, sleep or dawdle at hold points
 * (WF_POINT), and run queues are taken from in another order (WF_PERTURB), so that rare
 * interleavings of a program, and of weft, become common. Go: randomizeScheduler of race builds.
 *
 * The seed makes the sequence of decisions; which thread gets which is the machine's business, so a
 * seed is a kind of run rather than a run. (One run again and again: the simulator.)
 */
#include "debug/perturb.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/rand.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef WEFT_DEBUG_BUILD

#define SPIN_PAUSES_MAX 300	/* some 10 us */
#define NAP_NS_MAX 200000
#define LONG_NAP_NS_MAX 5000000

bool (*wf_perturb_hook)(unsigned n);

static void (*point_before)(const char *name);	/* a test's hook, or NULL */
static uint64_t seed;				/* constant once the hooks are set */
static int64_t begun;				/* likewise */
static _Atomic int64_t stopped_ns;
static _Atomic uint64_t n_decisions;		/* no order: only that no number comes twice */

static uint32_t
decide(uint32_t n)
{
	struct wf_rand r;

	wf_rand_init(&r, seed + (wf_add_relaxed(&n_decisions, UINT64_C(1)) << 20));
	return wf_rand_below(&r, n);
}

static bool
one_in(unsigned n)
{
	return decide(n) == 0;
}

/*
 * Sleeps for so long, 0: only yields, which takes long, too, where many want the CPU. But all of it
 * together takes no longer than half of the time for which the program has run, so that it ends.
 */
static void
stop_for(int64_t ns)
{
	_Atomic uint32_t word = 0;
	int64_t from = wf_os_now();

	if (2 * wf_load_relaxed(&stopped_ns) > from - begun)
		return;
	if (ns == 0)
		wf_os_thread_yield();
	else
		(void)wf_os_futex_wait(&word, 0, from + ns);
	(void)wf_add_relaxed(&stopped_ns, wf_os_now() - from);
}

/* Also in signal handlers, and with locks held: as a thread that the kernel takes the CPU from. */
static void
at_point(const char *name)
{
	int saved = wf_os_errno_save();
	uint32_t what = decide(64);

	if (point_before != NULL)
		point_before(name);
	if (what < 8)
		stop_for(0);
	else if (what < 10)
		for (uint32_t i = decide(SPIN_PAUSES_MAX); i > 0; i--)
			wf_cpu_relax();
	else if (what < 13)
		stop_for(1 + decide(decide(64) == 0 ? LONG_NAP_NS_MAX : NAP_NS_MAX));
	wf_os_errno_restore(saved);
}

void
wf_perturb_from_env(void)
{
	const char *s = wf_os_getenv("WEFT_PERTURB");
	char line[64], *end;
	int n;

	if (s == NULL || *s == '\0')
		return;
	seed = strtoull(s, &end, 0);
	if (*end != '\0' || seed == 0)
		seed = (uint64_t)wf_os_now();
	n = snprintf(line, sizeof(line), "weft: WEFT_PERTURB=%llu\n", (unsigned long long)seed);
	(void)wf_os_write(2, line, (size_t)n);
	begun = wf_os_now();
	wf_store_relaxed(&stopped_ns, (int64_t)0);
	wf_store_relaxed(&n_decisions, UINT64_C(0));
	point_before = wf_point_hook;
	wf_point_hook = at_point;
	wf_perturb_hook = one_in;
}

static void __attribute__((constructor))
begin(void)
{
	wf_perturb_from_env();
}

#endif
