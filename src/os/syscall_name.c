/*
 * Names of system calls that may block, for reports. The kernel has numbers only, which are others
 * on each processor.
 */
#include "os/os.h"

#include <stddef.h>
#include <sys/syscall.h>

/* Some are there on one processor only. */
static const struct {
	long number;
	const char *name;
} names[] = {
	{SYS_read, "read"},
	{SYS_write, "write"},
	{SYS_readv, "readv"},
	{SYS_writev, "writev"},
	{SYS_pread64, "pread"},
	{SYS_pwrite64, "pwrite"},
	{SYS_sendfile, "sendfile"},
	{SYS_openat, "openat"},
	{SYS_close, "close"},
	{SYS_fsync, "fsync"},
	{SYS_fdatasync, "fdatasync"},
	{SYS_flock, "flock"},
	{SYS_fcntl, "fcntl"},
	{SYS_ioctl, "ioctl"},
	{SYS_connect, "connect"},
	{SYS_accept, "accept"},
	{SYS_accept4, "accept4"},
	{SYS_sendto, "sendto"},
	{SYS_recvfrom, "recvfrom"},
	{SYS_sendmsg, "sendmsg"},
	{SYS_recvmsg, "recvmsg"},
	{SYS_sendmmsg, "sendmmsg"},
	{SYS_recvmmsg, "recvmmsg"},
	{SYS_ppoll, "ppoll"},
	{SYS_pselect6, "pselect"},
	{SYS_epoll_pwait, "epoll_pwait"},
	{SYS_futex, "futex"},
	{SYS_nanosleep, "nanosleep"},
	{SYS_clock_nanosleep, "clock_nanosleep"},
	{SYS_wait4, "wait4"},
	{SYS_waitid, "waitid"},
	{SYS_rt_sigtimedwait, "sigtimedwait"},
	{SYS_rt_sigsuspend, "sigsuspend"},
#ifdef SYS_poll
	{SYS_open, "open"},
	{SYS_poll, "poll"},
	{SYS_select, "select"},
	{SYS_epoll_wait, "epoll_wait"},
	{SYS_pause, "pause"},
#endif
};

const char *
wf_os_syscall_name(long number)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}
