/*
 * Readers of a lock, counted at their P by plain stores while nobody writes. Protocol: README.md,
 * "Bias", whose steps and edges are cited here. Of what is locked it knows its word.
 */
#ifndef WEFT_SYNC_BIAS_H
#define WEFT_SYNC_BIAS_H

#include "base/assert.h"
#include "base/atomic.h"
#include "os/moment.h"
#include "sched/lock.h"
#include "sched/slot.h"

/*
 * A lock's word. From the lowest bit: readers (32 bits), writers (2), the number of its entry or 0
 * (7), nothing (7), what reads have earned (15), and the wish for an entry, which is the carry of
 * that.
 */
#define WORD_READER	((uint64_t)1)
#define WORD_WRITER	((uint64_t)1 << 32)
#define WORD_ENTRY	((uint64_t)1 << 34)
#define WORD_EARN	((uint64_t)1 << 48)
#define WORD_WISH	((uint64_t)1 << 63)
#define WORD_WRITERS	((uint64_t)0x3 << 32)
#define WORD_ENTRIES	((uint64_t)0x7f << 34)
/* Those who are inside or want to be. */
#define WORD_USERS	(WORD_ENTRY - WORD_READER)
/* Reads that earn a wish. */
#define EARN_READS	((int64_t)(WORD_WISH / WORD_EARN))

/* Locks that can be biased at a time. Four lines of counters for each P. */
#ifndef BIASES
#define BIASES 64u
#endif
_Static_assert(BIASES <= WORD_ENTRIES / WORD_ENTRY, "word has room for the number");

static inline uint32_t
word_entry(uint64_t word)
{
	return (uint32_t)((word & WORD_ENTRIES) / WORD_ENTRY);
}

/*
 * Of one P, or shared by threads without one.
 *
 *   o  by who set busy
 */
struct bias_slot {
	/* 1 from U1 to U4. Set by the owner of the P with a store, in shared ones by exchange. */
	_Alignas(WF_CACHELINE) _Atomic uint32_t busy;
	/* x  What ends of keeping have cost, in ns, and locks have not paid back. README.md, K5 */
	_Atomic uint32_t owed;
	/* o  Entered - left, by entry. Of one without owner: 0, changed under table.lock. */
	_Atomic uint32_t readers[BIASES + 1];	/* modulo 2^32: they may leave elsewhere */
};

/*
 * Lives for ever, all zero at first. Entry 0 is nobody's.
 *
 *   l  under lock
 *   w  written under lock, read by anyone
 */
struct bias_table {
	/* w  The address of the lock's word. It may have been freed: not to be looked at. */
	_Alignas(WF_CACHELINE) _Atomic uintptr_t owner[BIASES + 1];
	_Alignas(WF_CACHELINE) struct wf_lock lock;
	uint32_t hand;			/* l  who was evicted last */
	int64_t evict_after;		/* l  weft_now() */
	struct bias_slot slots[WF_SLOTS];
};

extern struct bias_table wf_biases;

static WF_ALWAYS_INLINE struct bias_slot *
bias_mark_busy(void)
{
	uint32_t i = wf_slot();
	struct bias_slot *s = &wf_biases.slots[i];

	if (wf_likely(i < WF_SLOTS_OF_PS)) {
		wf_store_relaxed(&s->busy, 1u);					/* U1 */
		wf_compiler_barrier();	/* the membarrier of U7 orders U1 before U2 */
		return s;
	}
	for (int looks = 0; wf_xchg_acquire(&s->busy, 1u) != 0; looks++)	/* U1; V2 */
		wf_moment(looks);
	return s;
}

/*
 * A reader enters (by 1) or leaves (by -1) at entry `at`, which it has seen in word. False: that is
 * not word's entry, any more or just now. The last touch of word comes before the count. Between
 * wf_enter() and wf_leave().
 */
static WF_ALWAYS_INLINE bool
wf_bias_count(_Atomic uint64_t *word, uint32_t at, int32_t by)
{
	struct bias_slot *s = bias_mark_busy();
	bool is_ours = wf_load_acquire(&wf_biases.owner[at]) == (uintptr_t)word	/* U2; V1 */
	    && word_entry(wf_load_acquire(word)) == at;				/* U2; B1 */

	WF_POINT("bias.looked");
	if (wf_likely(is_ours))							/* U3 */
		wf_store_relaxed(&s->readers[at], wf_load_relaxed(&s->readers[at]) + (uint32_t)by);
	wf_store_release(&s->busy, 0u);						/* U4; V2 */
	return is_ours;
}

/*
 * The same when wf_bias_count() said no, or the reader has been counted in word meanwhile. False:
 * there is no bias, and none will begin while a reader is counted in word. Between wf_enter() and
 * wf_leave().
 */
bool wf_bias_settle(_Atomic uint64_t *word, int32_t by);

/*
 * Waits until whoever is busy in that slot of a P with what it saw before this call is so no more,
 * and what it did is visible. Inside the runtime; not from that P.
 */
void wf_bias_await(uint32_t slot);

/* If word is a wish and nobody is there: gives it an entry. Between wf_enter() and wf_leave(). */
void wf_bias_claim(_Atomic uint64_t *word);

/*
 * A writer ends the bias, if there is one: the readers that were counted elsewhere are counted in
 * word. How many; below 0 if more have left than had come. The next bias has to be earned. Between
 * wf_enter() and wf_leave().
 */
int64_t wf_bias_end(_Atomic uint64_t *word);

#endif /* WEFT_SYNC_BIAS_H */
