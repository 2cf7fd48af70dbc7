/*
 * The ring of a P (src/sched/runq.h) with two slots, its counters about to wrap: each
 * goroutine is taken once, by somebody who sees what was written to it before it was queued.
 *
 * model: -DRUNQ_CAP=2u
 */
#include "explore.h"

#include "sched/runq.h"

#include <string.h>

const char *const mc_subjects[] = { "sched/runq.h", NULL };

#ifdef WEFT_DEBUG_BUILD
void (*wf_point_hook)(const char *name);
#endif

#define ITEMS 5

static struct runq q;
static struct g gs[ITEMS];
static _Atomic int taken[ITEMS];
static int n_put;		/* the owner's: how many went in */

static void
reset(void)
{
	memset(&q, 0, sizeof(q));
	wf_store_relaxed(&q.head, UINT32_MAX);
	wf_store_relaxed(&q.tail, UINT32_MAX);
	memset(gs, 0, sizeof(gs));
	memset(taken, 0, sizeof(taken));
	n_put = 0;
}

/* parent_id stands for all that was written before: plain, so a missing edge is a race. */
static void
got(struct g *g)
{
	if (g == NULL)
		return;
	MC_ASSERT(g >= gs && g < gs + ITEMS);
	MC_ASSERT(g->parent_id == 42);
	MC_ASSERT(wf_add_relaxed(&taken[g - gs], 1) == 0);
	g->parent_id = 43;
}

static void
put(void)
{
	struct g *g = &gs[n_put];

	g->parent_id = 42;
	if (runq_put(&q, g))
		n_put++;
}

static void
owner(void)
{
	put();
	put();
	put();
	got(runq_take(&q));
	put();
}

static void
thief(void)
{
	got(runq_take(&q));
	got(runq_take(&q));
}

static void
grab(void)
{
	struct g *out[RUNQ_CAP * 4] = { 0 };
	uint32_t n = runq_grab(&q, out);

	MC_ASSERT(n <= RUNQ_CAP / 2 && out[RUNQ_CAP / 2] == NULL);
	for (uint32_t i = 0; i < n; i++)
		got(out[i]);
}

/* Nothing is lost: what went in and was not taken is there, once. */
static void
conserved(void)
{
	struct g *g;

	got(runq_take_next(&q));
	while ((g = runq_take(&q)) != NULL)
		got(g);
	MC_ASSERT(runq_is_empty(&q));
	for (int i = 0; i < n_put; i++)
		MC_ASSERT(wf_load_relaxed(&taken[i]) == 1);
}

SCENARIO(put_and_take, .threads = { owner, thief }, .setup = reset, .check = conserved)
SCENARIO(put_and_grab, .threads = { owner, grab }, .setup = reset, .check = conserved)
SCENARIO(two_thieves, .threads = { owner, thief, grab }, .setup = reset, .check = conserved,
    .runs = 100000)

/* The slot for the next to run: the owner puts and kicks out, thieves take. */
static void
next_owner(void)
{
	for (int i = 0; i < 3; i++) {
		struct g *g = &gs[n_put++];

		g->parent_id = 42;
		g = runq_put_next(&q, g);
		if (g != NULL && !runq_put(&q, g))
			got(g);
	}
	got(runq_take_next(&q));
}

static void
next_thief(void)
{
	struct g *g = wf_load_acquire(&q.runnext);

	if (g != NULL && wf_cas_acqrel(&q.runnext, &g, NULL))
		got(g);
	got(runq_take(&q));
}

SCENARIO(next_slot, .threads = { next_owner, next_thief }, .setup = reset, .check = conserved)

/* By exchange, as the owner does. */
static void
next_taker(void)
{
	got(runq_take_next(&q));
}

SCENARIO(next_slot_by_exchange, .threads = { next_owner, next_taker }, .setup = reset,
    .check = conserved)

/*
 * A ring into which the goroutine of the slot is kicked is not empty at any moment in
 * between: S4 of the idle protocol relies on it.
 */
static void
kick_reset(void)
{
	reset();
	gs[0].parent_id = gs[1].parent_id = 42;
	wf_store_relaxed(&q.runnext, &gs[0]);
	n_put = 2;
}

static void
kick(void)
{
	MC_ASSERT(runq_put_next(&q, &gs[1]) == &gs[0]);
	MC_ASSERT(runq_put(&q, &gs[0]));
}

static void
kick_and_run(void)
{
	kick();
	got(runq_take_next(&q));
}

static void
looker(void)
{
	MC_ASSERT(!runq_is_empty(&q));
}

SCENARIO(kicked_out_is_not_gone, .threads = { kick, looker }, .setup = kick_reset,
    .check = conserved)
SCENARIO(kicked_out_and_run_is_not_gone, .threads = { kick_and_run, looker },
    .setup = kick_reset, .check = conserved)

/*
 * The ring in the idle protocol: either who brings work sees the idle P (A3), or who went
 * idle sees the work (S4). idle_ps stands for n_idle_p.
 */
static _Atomic uint32_t idle_ps;
static bool was_seen_idle, was_seen_work;

static void
publish_reset(void)
{
	reset();
	wf_store_relaxed(&idle_ps, 0);
	was_seen_idle = was_seen_work = false;
	gs[0].parent_id = gs[1].parent_id = 42;
	n_put = 1;
}

static void
publish_next(void)
{
	(void)runq_put_next(&q, &gs[0]);
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
}

static void
publish_tail(void)
{
	MC_ASSERT(runq_put(&q, &gs[0]));
	wf_fence_seqcst();
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
}

/* One was there and is taken meanwhile: head and tail both move. */
static void
publish_and_take(void)
{
	publish_tail();
	got(runq_take(&q));
	MC_ASSERT(runq_put(&q, &gs[1]));
	n_put = 2;
	wf_fence_seqcst();
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
}

static void
go_idle(void)
{
	(void)wf_add_seqcst(&idle_ps, 1);
	was_seen_work = !runq_is_empty(&q);
}

static void
somebody_saw(void)
{
	MC_ASSERT(was_seen_idle || was_seen_work);
	conserved();
}

SCENARIO(publish_next, .threads = { publish_next, go_idle }, .setup = publish_reset,
    .check = somebody_saw)
SCENARIO(publish_tail, .threads = { publish_tail, go_idle }, .setup = publish_reset,
    .check = somebody_saw)
SCENARIO(publish_and_take, .threads = { publish_and_take, go_idle }, .setup = publish_reset,
    .check = somebody_saw)

/* The next to run kicks another into the ring, and is run: that one is work still. */
static void
publish_kick(void)
{
	(void)runq_put_next(&q, &gs[0]);
	MC_ASSERT(runq_put_next(&q, &gs[1]) == &gs[0]);
	MC_ASSERT(runq_put(&q, &gs[0]));
	n_put = 2;
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
	got(runq_take_next(&q));
}

SCENARIO(publish_kick, .threads = { publish_kick, go_idle }, .setup = publish_reset,
    .check = somebody_saw)

/* ---- The only P: plain until another one is made (Q6) ---- */

static void
alone_reset(void)
{
	reset();
	wf_store_relaxed(&q.is_alone, 1);
}

static void
alone_owner(void)
{
	struct g *g;

	put();
	put();
	got(runq_take(&q));
	g = &gs[n_put++];
	g->parent_id = 42;
	MC_ASSERT(runq_put_next(&q, g) == NULL);
	got(runq_take_next(&q));
	put();
	runq_share(&q);
	got(runq_take(&q));
}

static void
alone_thief(void)
{
	if (runq_may_steal(&q))
		thief();
}

SCENARIO(alone_and_then_not, .threads = { alone_owner, alone_thief }, .setup = alone_reset,
    .check = conserved)

/* ---- A ring of one's own (O1-O5, H1-H6); find.c's thief is in idle.c ---- */

static void
own_reset(void)
{
	reset();
	wf_store_relaxed(&q.own, RUNQ_OWN);
}

static void
own_owner(void)
{
	struct g *g;

	put();
	put();
	got(runq_take_own(&q));
	g = &gs[n_put++];
	g->parent_id = 42;
	MC_ASSERT(runq_put_next(&q, g) == NULL);
	got(runq_take_next(&q));
	runq_own(&q, true, 0);
	got(runq_take_own(&q));
}

/* H1 to H4. It does not wait: who is busy is left. */
static bool
own_begin_steal(void)
{
	if (!runq_trylock(&q))
		return false;
	if (wf_load_relaxed(&q.own) == RUNQ_SHARED)
		return true;
	wf_store_relaxed(&q.own, RUNQ_ENDING);
	mc_membarrier();
	if (wf_load_acquire(&q.busy)) {
		runq_unlock(&q);
		return false;
	}
	wf_store_release(&q.own, RUNQ_SHARED);
	return true;
}

static void
own_thief(void)
{
	if (!own_begin_steal())
		return;
	next_thief();
	runq_unlock(&q);
}

SCENARIO(own_and_a_thief, .threads = { own_owner, own_thief }, .setup = own_reset,
    .check = conserved)
SCENARIO(own_and_two_thieves, .threads = { own_owner, own_thief, own_thief }, .setup = own_reset,
    .check = conserved)

/* What is brought by plain stores, beside one who goes idle with a membarrier (S3), or O5. */
static void
own_publish_reset(void)
{
	publish_reset();
	wf_store_relaxed(&q.own, RUNQ_OWN);
}

static void
own_go_idle(void)
{
	(void)wf_add_seqcst(&idle_ps, 1);
	if (wf_load_seqcst(&q.own) != RUNQ_SHARED)
		mc_membarrier();
	was_seen_work = !runq_is_empty(&q);
}

static void
own_begin_publish(void)
{
	runq_own(&q, true, 0);
	publish_next();
}

SCENARIO(own_publish_next, .threads = { publish_next, own_go_idle }, .setup = own_publish_reset,
    .check = somebody_saw)
SCENARIO(own_begin_publish, .threads = { own_begin_publish, own_go_idle },
    .setup = publish_reset, .check = somebody_saw)

static void
own_kick_and_end(void)
{
	(void)runq_put_next(&q, &gs[0]);
	MC_ASSERT(runq_put_next(&q, &gs[1]) == &gs[0]);
	MC_ASSERT(runq_put(&q, &gs[0]));
	n_put = 2;
	got(runq_take_next(&q));
	runq_own(&q, false, 0);
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
}

SCENARIO(own_kick_and_end, .threads = { own_kick_and_end, own_go_idle },
    .setup = own_publish_reset, .check = somebody_saw)

/* ---- The newest first, by the owner of a ring with more than one thief takes (Q10) ---- */

static void
newest_owner(void)
{
	put();
	put();
	got(runq_take_newest(&q));
	put();
	got(runq_take_newest(&q));
	got(runq_take(&q));
}

static void
two_grabs(void)
{
	grab();
	grab();
}

static void
three_grabs(void)
{
	two_grabs();
	grab();
}

SCENARIO(newest_and_grab, .threads = { newest_owner, grab }, .setup = reset, .check = conserved)
SCENARIO(newest_and_two_grabs, .threads = { newest_owner, two_grabs }, .setup = reset,
    .check = conserved)
/* The third may find the tail behind the head. */
SCENARIO(newest_and_three_grabs, .threads = { newest_owner, three_grabs }, .setup = reset,
    .check = conserved)
SCENARIO(newest_and_two_thieves, .threads = { newest_owner, grab, grab }, .setup = reset,
    .check = conserved, .runs = 100000)

/*
 * In the idle protocol: what is put behind the newest that was taken is seen by who goes idle, or
 * sees it. Who looks while the owner finds out that it may not take may miss the last one, which
 * the owner then takes itself.
 */
static void
publish_after_newest(void)
{
	MC_ASSERT(runq_put(&q, &gs[0]));
	MC_ASSERT(runq_put(&q, &gs[1]));
	n_put = 2;
	got(runq_take_newest(&q));
	gs[2].parent_id = 42;
	MC_ASSERT(runq_put(&q, &gs[2]));
	n_put = 3;
	wf_fence_seqcst();
	was_seen_idle = wf_load_seqcst(&idle_ps) != 0;
}

SCENARIO(publish_after_newest, .threads = { publish_after_newest, go_idle },
    .setup = publish_reset, .check = somebody_saw)

static void
newest_or_oldest(void)
{
	struct g *g;

	put();
	put();
	g = runq_take_newest(&q);
	got(g != NULL ? g : runq_take(&q));
	got(runq_take(&q));
}

/* Its looks are racy, and harmless wherever they come. */
static void
grab_and_look(void)
{
	grab();
	(void)runq_is_empty(&q);
}

/* Nobody is left: whatever who looked has seen, the owner has taken the rest. */
static void
all_taken(void)
{
	MC_ASSERT(runq_is_empty(&q));
	conserved();
}

SCENARIO(newest_or_oldest, .threads = { newest_or_oldest, grab_and_look }, .setup = reset,
    .check = all_taken)

/* The same of a ring that is its holder's own: without a fence, until a thief ends that (H4). */
static void
newest_own_owner(void)
{
	put();
	put();
	got(runq_take_newest(&q));
	put();
	got(runq_take_newest(&q));
	got(runq_take_own(&q));
}

static void
own_grab(void)
{
	if (!own_begin_steal())
		return;
	two_grabs();
	runq_unlock(&q);
}

SCENARIO(newest_of_ones_own, .threads = { newest_own_owner, own_grab }, .setup = own_reset,
    .check = conserved)
SCENARIO(newest_of_ones_own_and_two_thieves, .threads = { newest_own_owner, own_grab, own_grab },
    .setup = own_reset, .check = conserved)
