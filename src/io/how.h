/*
 * How a descriptor is asked without waiting. The answer is kept in its record, as a guess: the
 * number may be closed and opened again without us, and then the system contradicts.
 */
#ifndef WEFT_IO_HOW_H
#define WEFT_IO_HOW_H

#include "poll/desc.h"

/* What is known of pd, or else found out. enum pd_how, or -EBADF. */
int wf_io_how(struct pd *pd, enum pd_use dir);

/* The call said that the guess was wrong. The next one. */
void wf_io_how_was_wrong(struct pd *pd, enum pd_use dir, enum pd_how guess);

#endif /* WEFT_IO_HOW_H */
