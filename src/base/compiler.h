/*
 * Attributes and small macros. Knows no system and no threads.
 */
#ifndef WEFT_BASE_COMPILER_H
#define WEFT_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two lines: Intel's prefetcher fetches pairs, so neighbours share too. */
#define WF_CACHELINE 128

#define wf_likely(x) __builtin_expect(!!(x), 1)
#define wf_unlikely(x) __builtin_expect(!!(x), 0)
/* The address, which need not be valid, is about to be used. */
#define wf_prefetch(p) __builtin_prefetch(p)
#define WF_NOINLINE __attribute__((noinline))
#define WF_COLD __attribute__((noinline, cold))
#define WF_ALWAYS_INLINE inline __attribute__((always_inline))
#define WF_NORETURN __attribute__((noreturn))
#define WF_UNUSED __attribute__((unused))
#define WF_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/*
 * A function that may switch stacks. The compiler must assume nothing about what
 * it leaves unchanged: with noinline alone gcc 12 proved that a yield does not
 * write a file-local variable, and a loop that waits for it never ended.
 * Aligned: a yield takes 8.5 to 9.1 ns as its place changes with what is linked before it.
 */
#if defined(__clang__)
#define WF_PARKS __attribute__((noinline, aligned(64)))
#else
#define WF_PARKS __attribute__((noipa, aligned(64)))
#endif

/* A public function that may park: opaque, and exported. */
#define WF_API_PARKS WF_PARKS __attribute__((visibility("default")))

#define wf_container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define wf_countof(a) (sizeof(a) / sizeof((a)[0]))

/* Each argument is evaluated once: it may be a load of what another thread changes. */
#define wf_min(a, b) \
	__extension__({ \
		__auto_type min_a_ = (a); \
		__auto_type min_b_ = (b); \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define wf_max(a, b) \
	__extension__({ \
		__auto_type max_a_ = (a); \
		__auto_type max_b_ = (b); \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})

/* What the compiler must not move memory accesses across. No instruction. */
static WF_ALWAYS_INLINE void
wf_compiler_barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Tells the core that we spin. */
static WF_ALWAYS_INLINE void
wf_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#if defined(__SANITIZE_THREAD__)
#define WF_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WF_TSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WF_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WF_ASAN 1
#endif
#endif

#endif /* WEFT_BASE_COMPILER_H */
