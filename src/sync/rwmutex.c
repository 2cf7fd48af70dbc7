/*
 * weft_rwmutex: many readers or one writer, as in Go; writers exclude each other by a mutex of
 * their own. Protocol: README.md, "RWMutex", whose steps and edges are cited here.
 */
#include "sync/bias.h"
#include "sync/keep.h"

#include "base/assert.h"
#include "sched/panic.h"

/*
 * Life: the user's, all zero at first.
 *
 *   l  under lock
 *   x  atomic; W1-W10
 */
struct rwmutex {
	_Atomic uint64_t word;		/* x  bias.h */
	struct mutex writers;		/* x  held from W5 to W8 */
	struct wf_lock lock;
	int32_t reader_wait;		/* l  readers the writer waits for; see README.md */
	uint32_t reader_pass;		/* l  readers let in that have not looked yet */
	bool writer_pass;		/* l  the writer is let in and has not looked yet */
	struct waiter *writer;		/* l  or NULL: there is one at most */
	struct waitlist readers;	/* l  oldest first */
};

_Static_assert(sizeof(struct rwmutex) <= sizeof(weft_rwmutex), "weft_priv is too small");

static inline struct rwmutex *
rwmutex_of(weft_rwmutex *rw)
{
	return (struct rwmutex *)(void *)rw;
}

/* base/race.h: readers come after writers, who are told by word; writers after readers too. */
static inline void
race_acquire_all(struct rwmutex *rw)
{
	wf_race_acquire(&rw->word);
	wf_race_acquire(&rw->readers);
}

static inline uint32_t
n_readers(uint64_t word)
{
	return (uint32_t)word;
}

static inline bool
has_writer(uint64_t word)
{
	return (word & WORD_WRITERS) != 0;
}

/* ---- Letting in. Under lock; who is to be readied goes on ready. ---- */

static void
admit(struct waiter *w, struct gqueue *ready)
{
	/* Nothing but us ends these waits: they have no deadline and can't be cancelled. */
	(void)wf_claim(w, 0);
	gqueue_put(ready, w->g);
}

static void
admit_readers_locked(struct rwmutex *rw, uint32_t n, struct gqueue *ready)
    WF_HOLDS(rw->lock)
{
	for (; n > 0; n--) {
		struct waiter *w = waitlist_take(&rw->readers);

		if (w == NULL)
			break;
		admit(w, ready);
	}
	rw->reader_pass += n;
}

static void
admit_writer_locked(struct rwmutex *rw, struct gqueue *ready)
    WF_HOLDS(rw->lock)
{
	struct waiter *w = rw->writer;

	rw->writer = NULL;
	if (w != NULL)
		admit(w, ready);
	else
		rw->writer_pass = true;
}

/* ---- Readers ---- */

/* W2. */
static WF_PARKS void
wait_for_writer(struct rwmutex *rw)
{
	struct waiter w;

	wf_lock(&rw->lock);
	if (rw->reader_pass > 0) {
		rw->reader_pass--;
		wf_unlock(&rw->lock);
		return;
	}
	wf_waiter_init(&w, WEFT_FOREVER, /* cancellable */ false);
	waitlist_put(&rw->readers, &w);
	(void)wf_park_for_lock(&rw->lock, WAIT_RWMUTEX_R, WEFT_FOREVER);
}

/* W4. The writer is waiting for us, so rw is still there until we let it in. */
static WF_COLD void
leave_to_writer(struct rwmutex *rw)
{
	struct gqueue ready = {0};

	wf_lock(&rw->lock);
	if (--rw->reader_wait == 0)
		admit_writer_locked(rw, &ready);
	wf_unlock(&rw->lock);						/* B2 */
	wf_ready_all(&ready);
}

/* ---- Readers counted elsewhere ---- */

/* word was seen in rw, with an entry or a wish. True: we are in, and counted elsewhere. */
static WF_NOINLINE bool
enter_biased(struct rwmutex *rw, uint64_t word)
{
	bool is_in;

	if ((word & WORD_ENTRIES) == 0 && (word & WORD_USERS) != 0)
		return false;
	wf_enter();
	if ((word & WORD_ENTRIES) == 0) {
		wf_bias_claim(&rw->word);
		word = wf_load_acquire(&rw->word);			/* B1 */
	}
	is_in = (word & WORD_ENTRIES) != 0
	    && (wf_bias_count(&rw->word, word_entry(word), 1) || wf_bias_settle(&rw->word, 1));
	wf_leave();
	return is_in;
}

/* word was seen in rw, with an entry. True: we have left, and rw may be gone. */
static WF_NOINLINE bool
leave_biased(struct rwmutex *rw, uint64_t word)
{
	bool has_left;

	wf_enter();
	has_left = wf_bias_count(&rw->word, word_entry(word), -1)
	    || wf_bias_settle(&rw->word, -1);
	wf_leave();
	return has_left;
}

/*
 * We are counted in word, and old, which it was before, is no common case. There is a bias: then
 * our count moves, because we shall leave by it (U13).
 */
static WF_NOINLINE WF_PARKS void
rlock_slow(struct rwmutex *rw, uint64_t old)
{
	WF_POINT("rwmutex.reader_counted");
	if (has_writer(old))
		wait_for_writer(rw);
	else if ((old & WORD_ENTRIES) != 0 && wf_bias_settle(&rw->word, 1)) {
		WF_POINT("rwmutex.counted_twice");
		if (has_writer(wf_sub_release(&rw->word, WORD_READER)))	/* W3; B1 */
			leave_to_writer(rw);
	}
}

static WF_COLD WF_NORETURN void
die_of_runlock(struct rwmutex *rw)
{
	wf_fatal_help("sync: RUnlock of unlocked RWMutex",
	    "rwmutex %p has fewer readers than none: runlock it once for each rlock, and unlock it "
	    "for each lock", (void *)rw);
}

/* W6 was just now, or is to follow, and old had an entry: how many readers were counted there. */
static WF_COLD int64_t
end_bias(struct rwmutex *rw)
{
	int64_t readers = wf_bias_end(&rw->word);

	if (readers < 0)
		die_of_runlock(rw);
	return readers;
}

/* ---- Read locks ---- */

WF_API_PARKS void
weft_rwmutex_rlock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	uint64_t old = wf_load_acquire(&rw->word);			/* B1 */

	if ((old & (WORD_ENTRIES | WORD_WISH)) != 0 && enter_biased(rw, old)) {
		wf_race_acquire(&rw->word);
		return;
	}
	WF_POINT("rwmutex.looked");
	old = wf_add_acquire(&rw->word, WORD_READER + WORD_EARN);	/* W1; B1 */
	if (wf_unlikely((old & (WORD_WRITERS | WORD_ENTRIES)) != 0)) {
		wf_enter();
		rlock_slow(rw, old);
		wf_leave();
	}
	wf_race_acquire(&rw->word);
}

WEFT_API bool
weft_rwmutex_tryrlock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	uint64_t old = wf_load_acquire(&rw->word);			/* B1 */

	for (;;) {
		if ((old & (WORD_ENTRIES | WORD_WISH)) != 0) {
			if (enter_biased(rw, old))
				break;
			old = wf_load_relaxed(&rw->word);	/* a first guess for the CAS */
		}
		while ((old & (WORD_WRITERS | WORD_ENTRIES)) == 0)
			if (wf_cas_acquire(&rw->word, &old,			/* B1 */
			        old + WORD_READER + WORD_EARN)) {
				wf_race_acquire(&rw->word);
				return true;
			}
		if ((old & WORD_ENTRIES) == 0)
			return false;
	}
	wf_race_acquire(&rw->word);
	return true;
}

WF_API_PARKS void
weft_rwmutex_runlock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	uint64_t old = wf_load_relaxed(&rw->word);	/* B1's, when we came in */

	wf_race_release(&rw->readers);
	if ((old & WORD_ENTRIES) != 0 && leave_biased(rw, old))
		return;
	old = wf_sub_release(&rw->word, WORD_READER);			/* W3; B1 */
	if (wf_likely(!has_writer(old) && n_readers(old) != 0))
		return;
	wf_enter();
	if (n_readers(old) == 0)
		die_of_runlock(rw);
	leave_to_writer(rw);
	wf_leave();
}

/* ---- Writers ---- */

/* W7. */
static WF_PARKS void
wait_for_others(struct rwmutex *rw, uint64_t old)
{
	int64_t n = n_readers(old);
	struct waiter w;
	bool may_go;

	if ((old & WORD_ENTRIES) != 0)
		n += end_bias(rw);
	wf_lock(&rw->lock);
	if (!has_writer(old)) {
		rw->reader_wait += (int32_t)n;
		may_go = rw->reader_wait == 0;
	} else {
		may_go = rw->writer_pass;
		rw->writer_pass = false;
	}
	if (may_go) {
		wf_unlock(&rw->lock);
		return;
	}
	wf_waiter_init(&w, WEFT_FOREVER, /* cancellable */ false);
	rw->writer = &w;
	(void)wf_park_for_lock(&rw->lock, WAIT_RWMUTEX_W, WEFT_FOREVER);
}

WF_API_PARKS void
weft_rwmutex_lock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	uint64_t old;

	if (wf_unlikely(!mutex_lock_at_once(&rw->writers))) {		/* W5 */
		wf_enter();
		wf_mutex_lock_slow(&rw->writers, WEFT_FOREVER, WAIT_RWMUTEX_W);
		wf_leave();
	}
	old = wf_add_acquire(&rw->word, WORD_WRITER);			/* W6; B1 */
	if (wf_likely((old & (WORD_USERS | WORD_ENTRIES)) == 0)) {
		race_acquire_all(rw);
		return;
	}
	WF_POINT("rwmutex.writer_counted");
	wf_enter();
	wait_for_others(rw, old);
	wf_leave();
	race_acquire_all(rw);
}

/* True: a starving writer got the inner mutex, and should soon run. */
static bool
unlock_writers(struct rwmutex *rw)
{
	bool handed_over;

	if (wf_likely(mutex_unlock_at_once(&rw->writers)))
		return false;
	wf_enter();
	handed_over = wf_mutex_unlock_slow(&rw->writers);
	wf_leave();
	return handed_over;
}

WF_API_PARKS bool
weft_rwmutex_trylock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	uint64_t old;

	if (!wf_mutex_trylock(&rw->writers))
		return false;
	old = wf_load_relaxed(&rw->word);	/* a first guess for the CAS */
	for (;;) {
		if ((old & WORD_ENTRIES) != 0) {
			wf_enter();
			(void)end_bias(rw);
			wf_leave();
			old = wf_load_relaxed(&rw->word);	/* a first guess for the CAS */
		} else if ((old & WORD_USERS) != 0) {
			break;
		} else if (wf_cas_acquire(&rw->word, &old, old + WORD_WRITER)) {	/* B1 */
			race_acquire_all(rw);
			return true;
		}
	}
	(void)unlock_writers(rw);
	return false;
}

/* W10. What we left in word waits for us, so rw is still there until we let it in. */
static WF_COLD void
leave_to_others(struct rwmutex *rw, uint64_t word)
{
	struct gqueue ready = {0};

	wf_lock(&rw->lock);
	admit_readers_locked(rw, n_readers(word), &ready);
	if (has_writer(word)) {
		rw->reader_wait += (int32_t)n_readers(word);
		if (rw->reader_wait == 0)
			admit_writer_locked(rw, &ready);
	}
	wf_unlock(&rw->lock);						/* B2 */
	wf_ready_all(&ready);
}

WF_API_PARKS void
weft_rwmutex_unlock(weft_rwmutex *pub)
{
	struct rwmutex *rw = rwmutex_of(pub);
	bool handed_over;
	uint64_t word;

	/* Relaxed: our own store, or misuse. */
	if (wf_unlikely(!has_writer(wf_load_relaxed(&rw->word)))) {
		wf_enter();
		wf_fatal_help("sync: Unlock of unlocked RWMutex",
		    "rwmutex %p is not locked for writing: unlock it once for each lock, and "
		    "runlock it for each rlock", (void *)rw);
	}
	wf_race_release(&rw->word);
	handed_over = unlock_writers(rw);				/* W8 */
	WF_POINT("rwmutex.writers_unlocked");
	word = wf_sub_release(&rw->word, WORD_WRITER) - WORD_WRITER;	/* W9; B1 */
	word &= WORD_USERS;
	if (wf_likely(word == 0 && !handed_over))
		return;
	wf_enter();
	if (word != 0)
		leave_to_others(rw, word);
	if (handed_over)
		wf_yield();
	wf_leave();
}
