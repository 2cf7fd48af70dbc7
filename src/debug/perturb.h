/*
 * WEFT_PERTURB=SEED: see perturb.c.
 */
#ifndef WEFT_DEBUG_PERTURB_H
#define WEFT_DEBUG_PERTURB_H

/*
 * Sets the hooks of base/assert.h if the variable is set, and says with which seed. Before main(),
 * by itself, so that no thread reads the hooks while they are set. Debug builds only.
 */
void wf_perturb_from_env(void);

#endif /* WEFT_DEBUG_PERTURB_H */
