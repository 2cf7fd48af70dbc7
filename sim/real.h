/*
 * The functions of src/os/os.h that the simulator has a body of its own for, and under their other
 * names, wf_real_NAME, the bodies of src/os: the build renames those, by this list.
 *
 * While no run is on, the simulator's bodies call these, so that libweft-sim is a whole weft.
 */
#ifndef WEFT_SIM_REAL_H
#define WEFT_SIM_REAL_H

#include "os/os.h"

#define REAL(name) extern __typeof__(wf_os_##name) wf_real_##name;

/* thread.c */
REAL(now)
REAL(has_ticks)
REAL(thread_cpu)
REAL(futex_wait)
REAL(futex_wake)
REAL(thread_start)
REAL(tid)
REAL(is_main_thread)
REAL(thread_stack)
REAL(thread_state)
REAL(thread_nice)
REAL(thread_count)
REAL(thread_yield)
REAL(at_thread_exit)
extern __attribute__((noreturn)) __typeof__(wf_os_thread_exit) wf_real_thread_exit;
REAL(timer_slack_min)
REAL(membarrier_init)
REAL(membarrier)
REAL(thread_name)
extern __attribute__((noreturn)) __typeof__(wf_os_pause_forever) wf_real_pause_forever;
REAL(sigaltstack_new)

/* machine.c */
REAL(map)
REAL(guard_install)
REAL(make_ready)
REAL(protect_none)
REAL(affinity_count)
REAL(read_file)
REAL(getenv)
REAL(spawn)
REAL(getaddrinfo)

/* file.c */
REAL(read)
REAL(write)
REAL(readv)
REAL(writev_quiet)
REAL(readv_nowait)
REAL(writev_nowait)
REAL(recv)
REAL(send)
REAL(poll_wait)
REAL(close)
REAL(pipe)
REAL(dup)
REAL(open)
REAL(eventfd)
REAL(epoll_create)
REAL(epoll_ctl)
REAL(epoll_wait)

REAL(preadv)
REAL(pwritev)
REAL(preadv_nowait)
REAL(pwritev_nowait)

/* uring.c */
REAL(uring_open)
REAL(uring_close)
REAL(uring_knows)
REAL(uring_submit)
REAL(uring_wait)

/* net.c */
REAL(socket)
REAL(bind)
REAL(listen)
REAL(connect)
REAL(accept)
REAL(getsockname)
REAL(getpeername)
REAL(setsockopt_int)

#endif /* WEFT_SIM_REAL_H */
