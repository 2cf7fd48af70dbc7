/*
 * The explorer's body of src/base/atomic.h: the same names, each a call of the engine. Found first
 * because this folder comes before src/ in the include path, so the product's header knows
 * nothing of it. Each use is a site, known by file, function and text, whose order the engine can
 * weaken.
 */
#ifndef WEFT_MODEL_BASE_ATOMIC_H
#define WEFT_MODEL_BASE_ATOMIC_H

#include <stdatomic.h>
#include "base/compiler.h"
#include "site.h"

#define MC_SITE(op_, expr_, order_) __extension__({ \
	static struct mc_site mc_site_ = { __FILE__, __func__, op_, expr_, __LINE__, \
	    order_, order_, false, 0, NULL }; \
	&mc_site_; \
})

/* What *p holds, without _Atomic. */
#define MC_TYPE(p) __typeof__(atomic_load_explicit((p), memory_order_relaxed))

#define MC_VALUE(p, call) __extension__({ \
	uint64_t mc_word_ = (call); \
	MC_TYPE(p) mc_value_; \
	__builtin_memcpy(&mc_value_, &mc_word_, sizeof(mc_value_)); \
	mc_value_; \
})

#define MC_WORD(p, v) __extension__({ \
	MC_TYPE(p) mc_arg_ = (v); \
	uint64_t mc_bits_ = 0; \
	__builtin_memcpy(&mc_bits_, &mc_arg_, sizeof(mc_arg_)); \
	mc_bits_; \
})

#define MC_LOAD(p, order) MC_VALUE(p, mc_load((p), sizeof(*(p)), MC_SITE("load", #p, order)))
#define MC_STORE(p, v, order) \
	mc_store((p), sizeof(*(p)), MC_WORD(p, v), MC_SITE("store", #p, order))
#define MC_RMW(p, v, kind, op, order) \
	MC_VALUE(p, mc_rmw((p), sizeof(*(p)), kind, MC_WORD(p, v), MC_SITE(op, #p, order)))
#define MC_CAS(p, p_old, v, order) __extension__({ \
	__typeof__(p_old) mc_old_ = (p_old); \
	uint64_t mc_seen_ = MC_WORD(p, *mc_old_); \
	bool mc_ok_ = mc_cas((p), sizeof(*(p)), &mc_seen_, MC_WORD(p, v), \
	    MC_SITE("cas", #p, order)); \
	if (!mc_ok_) \
		__builtin_memcpy(mc_old_, &mc_seen_, sizeof(*mc_old_)); \
	mc_ok_; \
})

#define wf_load_relaxed(p) MC_LOAD(p, MC_RELAXED)
#define wf_load_acquire(p) MC_LOAD(p, MC_ACQUIRE)
#define wf_load_seqcst(p) MC_LOAD(p, MC_SEQ_CST)

#define wf_store_relaxed(p, v) MC_STORE(p, v, MC_RELAXED)
#define wf_store_release(p, v) MC_STORE(p, v, MC_RELEASE)
#define wf_store_seqcst(p, v) MC_STORE(p, v, MC_SEQ_CST)

#define wf_xchg_relaxed(p, v) MC_RMW(p, v, MC_XCHG, "xchg", MC_RELAXED)
#define wf_xchg_acquire(p, v) MC_RMW(p, v, MC_XCHG, "xchg", MC_ACQUIRE)
#define wf_xchg_release(p, v) MC_RMW(p, v, MC_XCHG, "xchg", MC_RELEASE)
#define wf_xchg_acqrel(p, v) MC_RMW(p, v, MC_XCHG, "xchg", MC_ACQ_REL)
#define wf_xchg_seqcst(p, v) MC_RMW(p, v, MC_XCHG, "xchg", MC_SEQ_CST)

#define wf_add_relaxed(p, v) MC_RMW(p, v, MC_ADD, "add", MC_RELAXED)
#define wf_add_acquire(p, v) MC_RMW(p, v, MC_ADD, "add", MC_ACQUIRE)
#define wf_add_release(p, v) MC_RMW(p, v, MC_ADD, "add", MC_RELEASE)
#define wf_add_acqrel(p, v) MC_RMW(p, v, MC_ADD, "add", MC_ACQ_REL)
#define wf_add_seqcst(p, v) MC_RMW(p, v, MC_ADD, "add", MC_SEQ_CST)
#define wf_sub_relaxed(p, v) MC_RMW(p, v, MC_SUB, "sub", MC_RELAXED)
#define wf_sub_release(p, v) MC_RMW(p, v, MC_SUB, "sub", MC_RELEASE)
#define wf_sub_acqrel(p, v) MC_RMW(p, v, MC_SUB, "sub", MC_ACQ_REL)
#define wf_sub_seqcst(p, v) MC_RMW(p, v, MC_SUB, "sub", MC_SEQ_CST)
#define wf_or_acqrel(p, v) MC_RMW(p, v, MC_OR, "or", MC_ACQ_REL)
#define wf_and_acqrel(p, v) MC_RMW(p, v, MC_AND, "and", MC_ACQ_REL)

#define wf_cas_relaxed(p, p_old, v) MC_CAS(p, p_old, v, MC_RELAXED)
#define wf_cas_acquire(p, p_old, v) MC_CAS(p, p_old, v, MC_ACQUIRE)
#define wf_cas_release(p, p_old, v) MC_CAS(p, p_old, v, MC_RELEASE)
#define wf_cas_acqrel(p, p_old, v) MC_CAS(p, p_old, v, MC_ACQ_REL)
#define wf_cas_seqcst(p, p_old, v) MC_CAS(p, p_old, v, MC_SEQ_CST)

#define wf_fence_seqcst() mc_fence(MC_SITE("fence", "", MC_SEQ_CST))
/* Not in the product, which has none; for the explorer's own tests. */
#define wf_fence_acqrel() mc_fence(MC_SITE("fence", "", MC_ACQ_REL))

#endif /* WEFT_MODEL_BASE_ATOMIC_H */
