/*
 * A goroutine that parks in a catch block, or in a destructor that an exception runs, takes along
 * what the C++ library keeps for the thread. README.md, "C++ exceptions". Only switch.h includes
 * this.
 */
#ifndef WEFT_SCHED_EXCEPTIONS_H
#define WEFT_SCHED_EXCEPTIONS_H

#include "os/os.h"
#include "sched/sched.h"

/* Is anything caught on this thread, or on its way? */
static WF_ALWAYS_INLINE bool
has_exceptions(const struct m *m)
{
	return m->exceptions != NULL &&
	    (m->exceptions->caught != NULL || m->exceptions->uncaught != 0);
}

/* The thread has none any more. */
static inline void
take_exceptions(struct m *m, struct wf_os_exceptions *ret)
{
	*ret = *m->exceptions;
	*m->exceptions = (struct wf_os_exceptions){0};
}

/* The goroutine ends, by a panic or weft_goexit() in a catch block: nobody comes back for it. */
static WF_ALWAYS_INLINE void
drop_exceptions(struct m *m)
{
	if (wf_unlikely(has_exceptions(m)))
		take_exceptions(m, &(struct wf_os_exceptions){0});
}

#endif /* WEFT_SCHED_EXCEPTIONS_H */
