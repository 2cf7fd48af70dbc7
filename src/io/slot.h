/*
 * How many operations on files may wait for disks at a time: WEFT_FILE_THREADS. Between wf_enter()
 * and wf_leave().
 */
#ifndef WEFT_IO_SLOT_H
#define WEFT_IO_SLOT_H

#include "base/compiler.h"

/* 0, or -ETIMEDOUT, -ECANCELED: then it was not begun. */
WF_PARKS int wf_slot_acquire(int64_t deadline);
void wf_slot_release(void);

#endif /* WEFT_IO_SLOT_H */
