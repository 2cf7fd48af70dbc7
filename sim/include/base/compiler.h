/*
 * src/base/compiler.h for the simulator: who spins gives way to another thread, since nobody else
 * runs until then.
 */
#ifndef WEFT_SIM_BASE_COMPILER_H
#define WEFT_SIM_BASE_COMPILER_H

#include_next "base/compiler.h"

void wf_sim_relax(void);
#define wf_cpu_relax wf_sim_relax

#endif /* WEFT_SIM_BASE_COMPILER_H */
