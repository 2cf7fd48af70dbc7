/*
 * The explorer's own test on a structure with a history: Chase and Lev's deque (Le, Pop, Cohen,
 * Zappa Nardelli, PPoPP 2013), right, and with each of the two fences taken away. The bug needs a
 * take, a steal, and one stale look.
 */
#include "explore.h"

#include "base/atomic.h"

#include <string.h>

const char *const mc_subjects[] = { NULL };

#define ITEMS 2
#define SLOTS 4u

static _Atomic int32_t top, bottom;
static _Atomic int slot[SLOTS];
static int payload[ITEMS + 1];
static _Atomic int taken[ITEMS + 1];
static bool take_fence, push_fence;

static void
reset_right(void)
{
	wf_store_relaxed(&top, 0);
	wf_store_relaxed(&bottom, 0);
	for (unsigned i = 0; i < SLOTS; i++)
		wf_store_relaxed(&slot[i], 0);
	for (int i = 0; i <= ITEMS; i++) {
		payload[i] = 0;
		wf_store_relaxed(&taken[i], 0);
	}
	take_fence = push_fence = true;
}

static void
reset_no_fence(void)
{
	reset_right();
	take_fence = false;
}

static void
reset_relaxed_push(void)
{
	reset_right();
	push_fence = false;
}

static void
got(int item)
{
	MC_ASSERT(payload[item] == item);
	MC_ASSERT(wf_add_relaxed(&taken[item], 1) == 0);
}

static void
push(int item)
{
	int32_t at = wf_load_relaxed(&bottom);

	payload[item] = item;
	wf_store_relaxed(&slot[(uint32_t)at % SLOTS], item);
	if (push_fence)
		wf_fence_acqrel();
	wf_store_relaxed(&bottom, at + 1);
}

static void
take(void)
{
	int32_t b = wf_load_relaxed(&bottom) - 1, t;
	int item;

	wf_store_relaxed(&bottom, b);
	if (take_fence)
		wf_fence_seqcst();
	t = wf_load_relaxed(&top);
	if (t > b) {
		wf_store_relaxed(&bottom, b + 1);
		return;
	}
	item = wf_load_relaxed(&slot[(uint32_t)b % SLOTS]);
	if (t == b) {
		bool won = wf_cas_seqcst(&top, &t, t + 1);

		wf_store_relaxed(&bottom, b + 1);
		if (!won)
			return;
	}
	got(item);
}

static void
steal(void)
{
	int32_t t = wf_load_acquire(&top), b;
	int item;

	wf_fence_seqcst();
	b = wf_load_acquire(&bottom);
	if (t >= b)
		return;
	item = wf_load_relaxed(&slot[(uint32_t)t % SLOTS]);
	if (wf_cas_seqcst(&top, &t, t + 1))
		got(item);
}

static void
owner(void)
{
	push(1);
	push(2);
	take();
	take();
}

static void
thief(void)
{
	steal();
	steal();
}

static void
check(void)
{
	for (int i = 1; i <= ITEMS; i++)
		MC_ASSERT(wf_load_relaxed(&taken[i]) == 1);
}

SCENARIO(chase_lev, .threads = { owner, thief }, .setup = reset_right, .check = check)
SCENARIO(chase_lev_no_fence, .threads = { owner, thief }, .setup = reset_no_fence,
    .check = check, .finds = "")
SCENARIO(chase_lev_relaxed_push, .threads = { owner, thief }, .setup = reset_relaxed_push,
    .check = check, .finds = "data race")
