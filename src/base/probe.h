/*
 * Static probes for bpftrace, perf and SystemTap: one nop each and a note in the file that says
 * where it stands and where its arguments are, if <sys/sdt.h> was there at build time. The names
 * are part of the interface: docs/observe.md.
 *
 * Arguments must be at hand anyway: in a register, or an object in memory that the probe names
 * without reading it.
 */
#ifndef WEFT_BASE_PROBE_H
#define WEFT_BASE_PROBE_H

#include "base/compiler.h"

/* Not under sanitizers, which would take a look at an argument for an access of ours. */
#if defined(__has_include) && !defined(WF_SMALL) && !defined(WF_TSAN) && !defined(WF_ASAN)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define WF_HAS_PROBES 1
#endif
#endif

#ifdef WF_HAS_PROBES
#define WF_PROBE1(name, a) DTRACE_PROBE1(weft, name, a)
#define WF_PROBE2(name, a, b) DTRACE_PROBE2(weft, name, a, b)
#define WF_PROBE3(name, a, b, c) DTRACE_PROBE3(weft, name, a, b, c)
#else
#define WF_PROBE1(name, a) ((void)sizeof(a))
#define WF_PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define WF_PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

/* An atomic of 8 bytes as an operand in memory, which only the tracer reads. */
#define WF_PROBE_U64(p) (*(const uint64_t *)(uintptr_t)(p))

#endif /* WEFT_BASE_PROBE_H */
