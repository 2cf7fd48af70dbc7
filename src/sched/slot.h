/*
 * For those outside sched/ that keep something for each P: arrays of WF_SLOTS, of which every
 * thread inside the runtime has one.
 */
#ifndef WEFT_SCHED_SLOT_H
#define WEFT_SCHED_SLOT_H

#include <stdbool.h>
#include <stdint.h>

/* One for each P there can be; then those for threads without a P, which share them. */
#define WF_SLOTS_OF_PS	1024u
#ifndef WF_SLOTS_SHARED
#define WF_SLOTS_SHARED	16u
#endif
#define WF_SLOTS	(WF_SLOTS_OF_PS + WF_SLOTS_SHARED)

/*
 * The caller's slot, as long as it stays inside the runtime and does not park. Below WF_SLOTS_OF_PS
 * nobody else has it; what the last owner of the P wrote there happened before.
 */
uint32_t wf_slot(void);

/* The slots of Ps that are in use, or were, are below this. */
uint32_t wf_slots_of_ps(void);

/* Is wf_os_membarrier() available? Constant once the runtime has started, false before. */
bool wf_has_membarrier(void);

#endif /* WEFT_SCHED_SLOT_H */
