/*
 * src/base/atomic.h for the simulator: before every access that orders anything, another thread may
 * go on. To name an order is to make that step, so that nothing is written here that is written
 * there. One thread executes all, one access after the other, so which order it is makes no
 * difference any more; that is what test/model is for.
 */
#ifndef WEFT_SIM_BASE_ATOMIC_H
#define WEFT_SIM_BASE_ATOMIC_H

#include_next "base/atomic.h"

void wf_sim_step(void);

/* A macro is not expanded again within itself: these end in the names of <stdatomic.h>. */
#define memory_order_acquire (wf_sim_step(), memory_order_acquire)
#define memory_order_release (wf_sim_step(), memory_order_release)
#define memory_order_acq_rel (wf_sim_step(), memory_order_acq_rel)
#define memory_order_seq_cst (wf_sim_step(), memory_order_seq_cst)

#endif /* WEFT_SIM_BASE_ATOMIC_H */
