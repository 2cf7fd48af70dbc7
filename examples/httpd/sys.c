/*
 * The system calls of weft-httpd that weft does not wrap, each returning a
 * negative errno.
 *
 * They are functions of their own, never inlined, for one reason: errno is
 * "*__errno_location()", and compilers compute that address once per function
 * and keep it. A function that parks and then looks at errno may look at
 * another thread's. None of these can change threads before it has read errno,
 * so here it is safe, and nowhere else in this program is it named.
 *
 * All are quick, except opening a file whose path is not in the kernel's cache.
 * weft would notice a thread that is stuck on a disk by itself; telling it is
 * only faster.
 */
#include "httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

/* A rename elsewhere in the tree can make the kernel give up on "..": so often it will not. */
#define BENEATH_TRIES 8

NOINLINE int
sys_open_beneath(int root_fd, const char *path)
{
	struct open_how how = {
		/* O_NONBLOCK: a FIFO must not hold us up while we find out that it is one. */
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	weft_syscall_enter();
	for (int i = 0; i < BENEATH_TRIES; i++) {
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd < 0)
			fd = -errno;
		if (fd != -EAGAIN && fd != -EINTR)
			break;
	}
	weft_syscall_exit();
	return (int)fd;
}

NOINLINE int
sys_open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

NOINLINE int
sys_open_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : fd;
}

NOINLINE int
sys_open_reserve(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

NOINLINE int
sys_fstat(int fd, struct stat *st)
{
	return fstat(fd, st) < 0 ? -errno : 0;
}

NOINLINE int
sys_shutdown(int fd, int how)
{
	return shutdown(fd, how) < 0 ? -errno : 0;
}

NOINLINE int
sys_unsent(int fd)
{
	int n;

	return ioctl(fd, SIOCOUTQ, &n) < 0 ? -errno : n;
}

NOINLINE int
sys_local_port(int fd, uint16_t *ret_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, &addr.any, &len) < 0)
		return -errno;
	*ret_port = ntohs(addr.any.sa_family == AF_INET6 ? addr.in6.sin6_port : addr.in.sin_port);
	return 0;
}

/*
 * Blocks SIGTERM and SIGINT and returns a descriptor they can be read from. To be
 * called before the first weft call: the threads that weft starts inherit the mask.
 */
NOINLINE int
sys_signalfd(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A server needs descriptors: takes all it may have. Returns how many that are. */
NOINLINE int
sys_raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return -errno;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		return -errno;
	return lim.rlim_cur > INT32_MAX ? INT32_MAX : (int)lim.rlim_cur;
}

/*
 * A socket filter on a listening TCP socket sees each segment sent to it, from the
 * TCP header on. Dropping those with SYN set and ACK not keeps new clients out (they
 * try again, and find the port closed), while the last segment of a handshake that is
 * under way still passes. So nobody who thinks he is connected is thrown out by the
 * close that follows.
 */
NOINLINE int
sys_refuse_new_connections(int fd)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0, 13 },		/* A = the flags */
		{ BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12 },	/* only SYN and ACK of them */
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02 },	/* is it SYN alone? */
		{ BPF_RET | BPF_K, 0, 0, 0 },			/* yes: drop it */
		{ BPF_RET | BPF_K, 0, 0, UINT32_MAX },		/* no: take all of it */
	};
	struct sock_fprog prog = { .len = 5, .filter = code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -errno;
	return 0;
}

NOINLINE DIR *
sys_fdopendir(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir;

	if (copy < 0)
		return NULL;
	dir = fdopendir(copy);
	if (!dir)
		close(copy);
	return dir;
}

/* The kernel's count of our threads: the 20th field of stat, the 18th after the name. */
NOINLINE int
sys_count_threads(void)
{
	char buf[512];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	char *p;

	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	for (int i = 0; p && i < 18; i++)
		p = strchr(p + 1, ' ');
	return p ? atoi(p) : 0;
}
