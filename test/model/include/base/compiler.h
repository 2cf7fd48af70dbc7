/*
 * The product's compiler.h as the explorer needs it: what is compiled by -fsanitize=thread for its
 * calls at each plain access is told nothing of sanitizers, and a pause is a scheduling point.
 */
#ifndef WEFT_MODEL_BASE_COMPILER_H
#define WEFT_MODEL_BASE_COMPILER_H

#include_next "base/compiler.h"

#undef WF_TSAN
#undef WF_ASAN

void mc_relax(void);
#define wf_cpu_relax() mc_relax()

#endif /* WEFT_MODEL_BASE_COMPILER_H */
