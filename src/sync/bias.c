/*
 * The slow side of bias.h: who gets an entry, who loses it, and where its readers are counted then.
 * README.md, "Bias", whose steps and edges are cited here.
 */
#include "sync/bias.h"

#include "sched/kept.h"

/* Added to the readers in word while their number is not known: more than there can be. */
#define MANY ((uint64_t)1 << 30)
/* An eviction costs a microsecond and an interrupt on every core: a thousandth of the time. */
#define EVICT_EVERY_NS 1000000

struct bias_table wf_biases;

/* ---- All slots, under table.lock ---- */

/* The next slot in use after i; WF_SLOTS at the end. */
static uint32_t
next_slot(uint32_t i, uint32_t n_of_ps)
{
	return ++i == n_of_ps ? WF_SLOTS_OF_PS : i;
}

static void
await_not_busy(struct bias_slot *s)
{
	for (int i = 0; wf_load_acquire(&s->busy) != 0; i++)			/* V2 */
		wf_moment(i);
}

void
wf_bias_await(uint32_t slot)
{
	wf_membarrier();						/* K6 */
	WF_POINT("bias.fenced_one");
	await_not_busy(&wf_biases.slots[slot]);				/* K6; V2 */
}

/*
 * U7, U8. Afterwards nobody counts at an entry that had ceased to be somebody's before, and all the
 * counts there were are visible.
 */
static void
drain_locked(void)
    WF_HOLDS(wf_biases.lock)
{
	uint32_t n;

	wf_membarrier();						/* U7 */
	n = wf_slots_of_ps();	/* now: a P made meanwhile may have counted by the old owner */
	WF_POINT("bias.fenced");
	for (uint32_t i = 0; i < WF_SLOTS; i = next_slot(i, n))
		await_not_busy(&wf_biases.slots[i]);				/* U8 */
}

static int64_t
sum_locked(uint32_t at)
    WF_HOLDS(wf_biases.lock)
{
	uint32_t n = wf_slots_of_ps();
	uint32_t sum = 0;

	for (uint32_t i = 0; i < WF_SLOTS; i = next_slot(i, n))
		sum += wf_load_relaxed(&wf_biases.slots[i].readers[at]);	/* V2 */
	return (int32_t)sum;
}

/* After the drain: at can be given to the next. */
static void
forget_locked(uint32_t at)
    WF_HOLDS(wf_biases.lock)
{
	uint32_t n = wf_slots_of_ps();

	for (uint32_t i = 0; i < WF_SLOTS; i = next_slot(i, n))
		wf_store_relaxed(&wf_biases.slots[i].readers[at], 0);		/* V1 */
	wf_store_relaxed(&wf_biases.owner[at], (uintptr_t)0);
}

/* ---- Entries ---- */

/* U9. False: it has readers. Its owner may have been freed, and is not touched. */
static bool
evict_locked(uint32_t at)
    WF_HOLDS(wf_biases.lock)
{
	uintptr_t owner = wf_load_relaxed(&wf_biases.owner[at]);	/* under lock */

	wf_store_relaxed(&wf_biases.owner[at], (uintptr_t)0);
	WF_POINT("bias.evicting");
	drain_locked();
	if (sum_locked(at) == 0) {
		forget_locked(at);
		return true;
	}
	wf_store_release(&wf_biases.owner[at], owner);				/* V1 */
	return false;
}

/* An entry without owner, or 0. */
static uint32_t
find_free_locked(void)
    WF_HOLDS(wf_biases.lock)
{
	int64_t now;

	/* Tried: a program may have forbidden it since it started. */
	if (!wf_has_membarrier() || wf_os_membarrier() != 0)
		return 0;
	for (uint32_t at = 1; at <= BIASES; at++)
		if (wf_load_relaxed(&wf_biases.owner[at]) == 0)		/* under lock */
			return at;
	now = wf_os_now();
	if (now < wf_biases.evict_after)
		return 0;
	wf_biases.evict_after = now + EVICT_EVERY_NS;
	wf_biases.hand = wf_biases.hand % BIASES + 1;
	return evict_locked(wf_biases.hand) ? wf_biases.hand : 0;
}

/* U5, U6. old is what word was, without users or entry. */
static void
claim_locked(_Atomic uint64_t *word, uint64_t old)
    WF_HOLDS(wf_biases.lock)
{
	uint32_t at = find_free_locked();

	if (at == 0) {
		/* Relaxed: a hint. It has to be earned again. */
		(void)wf_cas_relaxed(word, &old, old & (WORD_EARN - 1));
		return;
	}
	wf_store_release(&wf_biases.owner[at], (uintptr_t)word);		/* U5; V1 */
	WF_POINT("bias.claimed");
	/* Relaxed: B1 goes on through it. Who sees the entry before its owner has to settle. */
	if (!wf_cas_relaxed(word, &old, at * WORD_ENTRY))			/* U6 */
		wf_store_relaxed(&wf_biases.owner[at], (uintptr_t)0);
}

void
wf_bias_claim(_Atomic uint64_t *word)
{
	uint64_t old;

	if (!wf_trylock(&wf_biases.lock))
		return;
	old = wf_load_relaxed(word);	/* for the CAS; its entry changes under lock only */
	if (old >= WORD_WISH && (old & (WORD_USERS | WORD_ENTRIES)) == 0)
		claim_locked(word, old);
	wf_unlock(&wf_biases.lock);
}

bool
wf_bias_settle(_Atomic uint64_t *word, int32_t by)
{
	bool counted = false;
	uint32_t at;

	wf_lock(&wf_biases.lock);
	at = word_entry(wf_load_relaxed(word));		/* changes under lock */
	if (at != 0 && wf_load_relaxed(&wf_biases.owner[at]) == (uintptr_t)word)
		counted = wf_bias_count(word, at, by);
	else if (at != 0)
		/* U10. Relaxed: it tells nobody anything. */
		(void)wf_sub_relaxed(word, at * WORD_ENTRY);
	wf_unlock(&wf_biases.lock);
	return counted;
}

/* U11, U12. The entry is word's. */
static int64_t
end_locked(_Atomic uint64_t *word, uint32_t at)
    WF_HOLDS(wf_biases.lock)
{
	int64_t start = wf_os_now(), sum, cost;

	(void)wf_add_relaxed(word, MANY - at * WORD_ENTRY);			/* U11 */
	WF_POINT("bias.closed");
	drain_locked();
	sum = sum_locked(at);
	forget_locked(at);
	WF_POINT("bias.summed");
	cost = wf_os_now() - start;
	cost = cost < EARN_READS ? cost : EARN_READS;
	/* Relaxed, as U11: V2 has ordered those that were counted here, B1 and B2 the rest. */
	(void)wf_add_relaxed(word, (uint64_t)sum - MANY				/* U12 */
	    + (uint64_t)(EARN_READS - cost) * WORD_EARN);
	return sum;
}

int64_t
wf_bias_end(_Atomic uint64_t *word)
{
	int64_t sum = 0;
	uint32_t at;

	wf_lock(&wf_biases.lock);
	at = word_entry(wf_load_relaxed(word));		/* changes under lock */
	if (at != 0 && wf_load_relaxed(&wf_biases.owner[at]) == (uintptr_t)word)
		sum = end_locked(word, at);
	else if (at != 0)
		(void)wf_sub_relaxed(word, at * WORD_ENTRY);			/* U10 */
	wf_unlock(&wf_biases.lock);
	return sum;
}
