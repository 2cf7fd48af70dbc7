/*
 * Rings that are their holder's own (src/sched/README.md, "A ring of one's own"): when that begins
 * and ends, and a thief stopped between its steps. What every order of every step may do is
 * test/model's (ring, idle).
 */
#include <weft.h>
#include "sched/sched.h"

#include "hold.h"
#include "test.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_long n_run;
static long n_started;

static void
run(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_run, 1);
}

static void
processors(const char *n)
{
	EXPECT_EQ(setenv("WEFT_MAXPROCS", n, 1), 0);
	EXPECT_EQ(weft_gomaxprocs(0), atoi(n));
}

/* What the caller's ring is at this moment. */
static enum runq_own
own(void)
{
	struct m *m = wf_enter();
	enum runq_own is = (enum runq_own)wf_load_relaxed(&m->p->runq.own);

	wf_leave();
	return is;
}

/* Picks, by the slot and by the ring. */
static void
start_two(void)
{
	EXPECT_EQ(weft_go(run, NULL), 0);
	EXPECT_EQ(weft_go(run, NULL), 0);
	weft_yield();
	n_started += 2;
}

static void
all_have_run_once(void)
{
	while (atomic_load(&n_run) != n_started)
		weft_yield();
	for (int i = 0; i < 200; i++)
		weft_yield();
	EXPECT_EQ(atomic_load(&n_run), n_started);
}

/*
 * The ring is the caller's own. The other P's thread stands still meanwhile, as one that looks: so
 * nobody steals, and nobody else is woken.
 */
static void
make_own(void)
{
	processors("2");
	hold_at("idle.naps");
	hold_at("idle.searched");
	while (hold_tid("idle.naps") == 0 && hold_tid("idle.searched") == 0)
		start_two();
	while (own() != RUNQ_OWN)
		start_two();
}

static void
let_it_look(void)
{
	hold_release("idle.naps");
	hold_release("idle.searched");
}

/* O4. */
TEST(becomes_its_holders_own)
{
	make_own();
	let_it_look();
	all_have_run_once();
}

/* H3, H4: a thief stands there, and the holder goes on by CAS. */
static void
hold_a_thief_at(const char *point)
{
	make_own();
	hold_at(point);
	let_it_look();
	while (hold_tid(point) == 0)
		start_two();
	for (int i = 0; i < 200; i++)
		start_two();
	/* The other P is the thief's, and it is in nobody's way but other thieves'. */
	EXPECT_EQ(own(), RUNQ_ENDING);
	hold_release(point);
	all_have_run_once();
}

TEST(goes_on_while_a_thief_ends_it)
{
	hold_a_thief_at("ring.ending");
}

TEST(goes_on_while_a_thief_is_about_to_take)
{
	hold_a_thief_at("ring.ended");
}

TEST(with_many_processors_none_is)
{
	processors("9");
	for (int i = 0; i < 300; i++)
		start_two();
	for (uint32_t i = 0; i < 9; i++)
		EXPECT_EQ(wf_load_relaxed(&wf_load_acquire(&wf_sched.all_p[i])->runq.own),
		    RUNQ_SHARED);
	all_have_run_once();
}

/* A program that forbids membarrier(2) when it runs, as a thief or who goes idle finds out. */
TEST(refused_when_it_runs_is_shared_for_good)
{
	struct m *m;

	make_own();
	while (own() != RUNQ_SHARED) {
		m = wf_enter();
		wf_refuse_own(m->p);	/* a mark may get lost */
		wf_leave();
		start_two();
	}
	/* As many as made it own. */
	for (int i = 0; i < 100; i++)
		start_two();
	EXPECT_EQ(own(), RUNQ_SHARED);
	let_it_look();
	all_have_run_once();
}

TEST(refused_from_the_start_none_is)
{
	EXPECT_EQ(setenv("WEFT_DEBUG", "nomembarrier=1", 1), 0);
	processors("2");
	for (int i = 0; i < 300; i++) {
		start_two();
		EXPECT_EQ(own(), RUNQ_SHARED);
	}
	all_have_run_once();
}
