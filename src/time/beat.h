/*
 * Arithmetic of due times. Pure: knows no clock and no timers.
 */
#ifndef WEFT_TIME_BEAT_H
#define WEFT_TIME_BEAT_H

#include <stdint.h>

/* The time ns after now: at most INT64_MAX, at least 0. now >= 0. */
static inline int64_t
wf_time_after(int64_t now, int64_t ns)
{
	if (ns >= 0)
		return ns > INT64_MAX - now ? INT64_MAX : now + ns;
	return now + ns > 0 ? now + ns : 0;
}

/*
 * The beat that follows now, of a timer that was due at due <= now and then each period ns:
 * later than now, and a whole number of periods after due, so a timer that fires late neither
 * drifts nor makes up for beats it missed. INT64_MAX when there is none: period is 0 (once),
 * or the next beat is after the end of time.
 */
static inline int64_t
wf_time_next_beat(int64_t due, int64_t now, int64_t period)
{
	/* due may be 1 and now near INT64_MAX, but both are > 0: the difference fits. */
	int64_t late = now - due;
	int64_t last;

	if (period == 0)
		return INT64_MAX;
	last = now - late % period;
	return last > INT64_MAX - period ? INT64_MAX : last + period;
}

#endif /* WEFT_TIME_BEAT_H */
