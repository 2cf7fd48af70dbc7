/*
 * Telling ThreadSanitizer of channels. See told.h.
 */
#include "chan/told.h"

#include "sched/fiber.h"

#if !defined(WF_TSAN) && !defined(WF_NO_RACES)

/* Before and after, and whoever reads elem in between. */
static void
tell_slot(const struct weft_chan *c, size_t i, const void *elem)
{
	const unsigned char *at = c->ring;

	at += c->elem_size != 0 ? i * c->elem_size : i % TOLD_SLOTS;
	if (elem != NULL)
		wf_race_reads(elem, c->elem_size);
	wf_race_acquire(at);
	wf_race_release(at);
}

void
wf_told_slot(const struct weft_chan *c, size_t i, const void *elem)
{
	tell_slot(c, i, elem);
}

void
wf_told_slot_of(const struct weft_chan *c, size_t i, const struct waiter *w, bool sends)
{
	void *here = wf_fiber_speak_for(w->g);

	tell_slot(c, i, sends ? w->elem : NULL);
	wf_fiber_speak_again(w->g, here);
}

/*
 * By the waiter's address, which lies on its goroutine's stack: whatever other partners have told
 * there that goroutine knows already, so nobody learns of them who does not learn of it.
 */
void
wf_told_meet(const struct weft_chan *c, const struct waiter *w, const void *elem)
{
	void *here;

	if (elem != NULL)
		wf_race_reads(elem, c->elem_size);
	wf_race_release(w);
	here = wf_fiber_speak_for(w->g);
	if (elem == NULL && w->elem != NULL)
		wf_race_reads(w->elem, c->elem_size);
	wf_race_acquire(w);
	wf_race_release(w);
	wf_fiber_speak_again(w->g, here);
	wf_race_acquire(w);
}

void
wf_told_begin(void)
{
	wf_fiber_tell_bound(true);
}

void
wf_told_end(void)
{
	wf_fiber_tell_bound(false);
}

#endif
