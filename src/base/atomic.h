/*
 * The only file that names memory orders. Every access to memory that threads share
 * goes through these, so that a model checker can take their place.
 *
 * Each use of an order carries the name of its edge, explained where the type or
 * the protocol is described (src/sched/README.md). There are no stand-alone release or
 * acquire fences: ThreadSanitizer does not understand them.
 */
#ifndef WEFT_BASE_ATOMIC_H
#define WEFT_BASE_ATOMIC_H

#include <stdatomic.h>
#include "base/compiler.h"

#define wf_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define wf_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define wf_load_seqcst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define wf_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define wf_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define wf_store_seqcst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

/* Return the old value. */
#define wf_xchg_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define wf_xchg_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define wf_xchg_release(p, v) atomic_exchange_explicit((p), (v), memory_order_release)
#define wf_xchg_acqrel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define wf_xchg_seqcst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

#define wf_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define wf_add_acquire(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acquire)
#define wf_add_release(p, v) atomic_fetch_add_explicit((p), (v), memory_order_release)
#define wf_add_acqrel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define wf_add_seqcst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define wf_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define wf_sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define wf_sub_acqrel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define wf_sub_seqcst(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define wf_or_acqrel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define wf_and_acqrel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)

/* Strong. p_old is the address of the expected value, and gets what was found. */
#define wf_cas_relaxed(p, p_old, v) \
	atomic_compare_exchange_strong_explicit( \
	    (p), (p_old), (v), memory_order_relaxed, memory_order_relaxed)
#define wf_cas_acquire(p, p_old, v) \
	atomic_compare_exchange_strong_explicit( \
	    (p), (p_old), (v), memory_order_acquire, memory_order_acquire)
#define wf_cas_release(p, p_old, v) \
	atomic_compare_exchange_strong_explicit( \
	    (p), (p_old), (v), memory_order_release, memory_order_relaxed)
#define wf_cas_acqrel(p, p_old, v) \
	atomic_compare_exchange_strong_explicit( \
	    (p), (p_old), (v), memory_order_acq_rel, memory_order_acquire)
#define wf_cas_seqcst(p, p_old, v) \
	atomic_compare_exchange_strong_explicit( \
	    (p), (p_old), (v), memory_order_seq_cst, memory_order_seq_cst)

/*
 * Orders a store before a later load, which nothing weaker does. Under
 * ThreadSanitizer it is a read-modify-write, because fences are not modelled there.
 */
#ifdef WF_TSAN
extern _Atomic uint32_t wf_fence_word;
#define wf_fence_seqcst() ((void)wf_add_seqcst(&wf_fence_word, 0u))
#else
#define wf_fence_seqcst() atomic_thread_fence(memory_order_seq_cst)
#endif

#endif /* WEFT_BASE_ATOMIC_H */
