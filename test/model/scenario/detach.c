/*
 * Taking a P from a thread outside the runtime (src/sched/README.md, "Detach", D1-D6, and "Marked
 * calls"): never do two believe that a P is theirs, and a goroutine whose thread has lost its P
 * goes on. What only the owner of a P may touch is plain, so two owners are a data race.
 *
 * model: src/sched/wake.c src/sched/find.c src/sched/queue.c src/sched/procs.c src/sched/m.c
 * model: src/sched/park.c src/sched/switch.c src/sched/timer.c src/sched/lock.c src/sched/self.c
 * model: src/sched/pick.c src/sched/life.c
 * model: src/sched/reason.c src/sched/kept.c
 * model: src/sched/enter.c src/sched/detach.c src/sched/locked.c src/sched/syscall.c
 * model: seam/os.c seam/world.c -DWF_SMALL -DRUNQ_CAP=4u -DSTEP_BACK_PAUSES=1
 * model: -DSPIN_ROUNDS=1 -DYIELDS=1000 -DSTEAL_PASSES=1 -DRUNNEXT_PAUSES=1
 * model: -DRUNNEXT_SLEEPS=0 -DSPIN_NAP_NS=0
 * model: -Daligned_alloc=world_alloc
 */
#include "explore.h"
#include "seam/world.h"

#include "sched/kept.h"

#include <weft/go.h>

#include <string.h>

const char *const mc_subjects[] = { "sched/detach.c", "sched/self.h", "sched/enter.c",
	"sched/procs.c wf_p_acquire", "sched/procs.c wf_p_release", NULL };

static struct m *m_first;
static _Atomic uint32_t n_ended;

/* Inside the runtime a goroutine may do with its P what it likes. */
static void
use_p(void)
{
	struct m *m = wf_self();

	MC_ASSERT(m->p != NULL && wf_load_relaxed(&m->p->m) == m);
	m->p->looks_skipped++;
	m->p->n_free_g++;
}

static void
caller(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		(void)wf_enter();
		use_p();
		wf_leave();
	}
	(void)wf_add_relaxed(&n_ended, 1);
}

static void
marker(void *arg)
{
	(void)arg;
	weft_syscall_enter();
	weft_syscall_exit();
	(void)wf_enter();
	use_p();
	wf_leave();
	(void)wf_add_relaxed(&n_ended, 1);
}

static void
scheduler(void)
{
	world_become(m_first);
	wf_schedule(m_first);
}

/* As the monitor does: who is looked at is who is taken from. */
static void
take_from(struct p *p, bool is_blocked)
{
	struct m *m = wf_load_acquire(&p->m);

	if (m != NULL)
		(void)wf_detach(m, p, is_blocked);
}

static void
detach_blocked(void)
{
	take_from(&world.ps[0], true);
}

static void
detach_twice(void)
{
	take_from(&world.ps[0], true);
	take_from(&world.ps[0], false);
}

static void
detach_computing(void)
{
	take_from(&world.ps[0], false);
}

static void
begin(void (*fn)(void *), int n_gs)
{
	world_reset(1);
	wf_store_relaxed(&n_ended, 0);
	m_first = world_m(&world.ps[0]);
	wf_sched.free_m = NULL;		/* others are made when they are needed */
	for (int i = 0; i < n_gs; i++)
		MC_ASSERT(runq_put(&world.ps[0].runq, world_g((unsigned)i, fn, NULL)));
}

static void
one(void)
{
	begin(caller, 1);
}

static void
two(void)
{
	begin(caller, 2);
}

static void
one_marked(void)
{
	begin(marker, 2);
}

/* The first of them that marks its call gives its P away, if the monitor has not taken it. */
static void
one_gives(void)
{
	one_marked();
	wf_store_relaxed(&wf_sched.gifts_left, 1);
}

static void
make_fenced(void)
{
	wf_sched.has_membarrier = false;
	wf_store_relaxed(&m_first->gate.hold, HOLD_FENCED);
}

static void
one_gives_fenced(void)
{
	one_gives();
	make_fenced();
}

static void
one_fenced(void)
{
	one();
	make_fenced();
}

/* The M gets its P only now. */
static void
one_new(void)
{
	one();
	(void)wf_p_release(m_first);
}

static void
new_scheduler(void)
{
	world_become(m_first);
	wf_p_acquire(m_first, &world.ps[0]);
	wf_schedule(m_first);
}

static void
two_fenced(void)
{
	two();
	make_fenced();
}

static void
two_raised(void)
{
	two();
	world.may_raise = true;
}

static void
check(uint32_t n)
{
	MC_ASSERT(wf_load_relaxed(&n_ended) == n);
	MC_ASSERT(wf_load_relaxed(&wf_sched.n_idle_p) == 0 || !world_has_work());
	MC_ASSERT(wf_load_relaxed(&wf_sched.n_detached) == 0);
}

static void
one_ended(void)
{
	check(1);
}

static void
two_ended(void)
{
	check(2);
}

#define DETACH(id, how, init, ended) \
	SCENARIO(id, .threads = { scheduler, how, world_monitor }, .setup = init, .check = ended, \
	    .may_rest = true, .early = 2)

DETACH(one_caller, detach_blocked, one, one_ended)
DETACH(one_caller_detached_twice, detach_twice, one, one_ended)
DETACH(another_waits, detach_blocked, two, two_ended)
DETACH(another_waits_detached_twice, detach_twice, two, two_ended)
DETACH(computing_and_lowered_for_good, detach_computing, two, two_ended)
DETACH(computing_and_raised_again, detach_computing, two_raised, two_ended)
DETACH(marked_calls, detach_twice, one_marked, two_ended)
DETACH(given_away, detach_twice, one_gives, two_ended)
DETACH(given_away_without_membarrier, detach_blocked, one_gives_fenced, two_ended)
DETACH(without_membarrier, detach_twice, two_fenced, two_ended)
DETACH(one_caller_without_membarrier, detach_blocked, one_fenced, one_ended)
SCENARIO(a_new_thread, .threads = { new_scheduler, detach_twice, world_monitor },
    .setup = one_new, .check = one_ended, .may_rest = true, .early = 2, .runs = 20000)

/* ---- A lock that P 0 keeps (Z1-Z7): its owner is whoever has that P, on whatever thread ---- */

static struct wf_lock kept;
static int guarded;		/* by it */

static void
use_kept(void)
{
	(void)wf_enter();
	(void)wf_kept_lock(&kept, 0);
	guarded++;
	wf_kept_unlock(&kept, 0);
	wf_leave();
}

static void
keeper(void *arg)
{
	(void)arg;
	use_kept();
	use_kept();
	(void)wf_add_relaxed(&n_ended, 1);
}

/* P 0 keeps it, and has two goroutines that use it; the other Ps are idle. */
static void
keep_on(uint32_t n_ps)
{
	world_reset(n_ps);
	wf_store_relaxed(&n_ended, 0);
	m_first = world_m(&world.ps[0]);
	wf_sched.free_m = NULL;
	for (unsigned i = 0; i < 2; i++)
		MC_ASSERT(runq_put(&world.ps[0].runq, world_g(i, keeper, NULL)));
	memset(wf_kept, 0, sizeof(wf_kept));
	memset(&kept, 0, sizeof(kept));
	wf_store_relaxed(&kept.word, WF_KEPT + 1);
	guarded = 0;
}

static void
kept_on_one_p(void)
{
	keep_on(1);
}

static void
kept_on_two_ps(void)
{
	keep_on(2);
}

static void
kept_and_a_stranger(void)
{
	keep_on(1);
	world.foreign[0] = world_m(NULL);
	wf_store_relaxed(&world.foreign[0]->gate.in_runtime, 0);
}

static void
stranger(void)
{
	world_become(world.foreign[0]);
	use_kept();
}

static void
all_used(int n)
{
	check(2);
	MC_ASSERT(guarded == n);
	for (uint32_t i = 0; i < 3; i++)
		MC_ASSERT(wf_load_relaxed(&wf_kept[i].held[0]) == NULL);
}

static void
used_by_two(void)
{
	all_used(4);
}

static void
used_by_a_stranger_too(void)
{
	all_used(5);
}

DETACH(kept_beside_a_detach, detach_blocked, kept_on_one_p, used_by_two)
DETACH(kept_while_its_user_moves, detach_blocked, kept_on_two_ps, used_by_two)
SCENARIO(kept_and_wanted_beside_a_detach,
    .threads = { scheduler, detach_blocked, world_monitor, stranger },
    .setup = kept_and_a_stranger, .check = used_by_a_stranger_too, .may_rest = true, .early = 2)

/* ---- The monitor meets a thread that another has just made ---- */

static void
readier(void *arg)
{
	(void)arg;
	(void)wf_enter();
	wf_ready(world_g(1, caller, NULL));
	wf_leave();
	(void)wf_add_relaxed(&n_ended, 1);
}

static void
one_makes_another(void)
{
	world_reset(2);
	wf_store_relaxed(&n_ended, 0);
	m_first = world_m(&world.ps[0]);
	wf_sched.free_m = NULL;
	MC_ASSERT(runq_put(&world.ps[0].runq, world_g(0, readier, NULL)));
}

static void
detach_other(void)
{
	take_from(&world.ps[1], true);
}

SCENARIO(a_thread_made_by_another, .threads = { scheduler, detach_other, world_monitor },
    .setup = one_makes_another, .check = two_ended, .may_rest = true, .early = 2)
