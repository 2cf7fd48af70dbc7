/*
 * The only door to the system: every system call that weft makes is declared here,
 * and made in os/ only. A simulator can put another body behind it.
 *
 * Every function that can fail returns a negative errno, converted in the same
 * function as the call, before anything could switch threads. errno is not named
 * anywhere else.
 */
#ifndef WEFT_OS_OS_H
#define WEFT_OS_OS_H

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addrinfo;
struct dirent;
struct io_uring_cqe;
struct io_uring_sqe;
struct pollfd;
struct stat;

/* ---- clock.c ---- */

/* CLOCK_MONOTONIC in nanoseconds. 36 ns. */
int64_t wf_os_now(void);
/* Is the processor's counter (arch.h, wf_ticks()) a clock: steady, the same on all of them? */
bool wf_os_has_ticks(void);
/* The time of day, in nanoseconds since 1970. */
int64_t wf_os_wall_clock(void);
/* CPU time that thread tid of this process has used, in ns, or -errno. 0.3 us. */
int64_t wf_os_thread_cpu(int tid);

/* ---- futex.c: all private ---- */

/* Sleeps while *word == expected. 0 woken or spurious, -EAGAIN differed, -EINTR, -ETIMEDOUT.
 * deadline: absolute, INT64_MAX = none. */
int wf_os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);
/* Wakes at most n sleepers. Returns how many. */
int wf_os_futex_wake(const _Atomic uint32_t *word, int n);

/* ---- thread.c ---- */

/* Remembers the caller's signal mask: threads made later begin with it. Once, at start. */
void wf_os_thread_mask_init(void);
/*
 * A detached thread with that mask, or with all signals blocked if block_signals. 0, -EAGAIN,
 * ...
 */
int wf_os_thread_start(void (*fn)(void *), void *arg, size_t stack_bytes, bool block_signals);
int wf_os_tid(void);
int wf_os_pid(void);
/* Is this the process's first thread? */
bool wf_os_is_main_thread(void);
/* The caller's stack: lowest address and one past the highest. */
int wf_os_thread_stack(uintptr_t *ret_lo, uintptr_t *ret_hi);
/* The state letter of thread tid (R running, S or D asleep), or -errno. 8 us. */
int wf_os_thread_state(int tid);
/*
 * Where thread tid of this process waits in a system call: the call's number, its stack pointer,
 * and where it goes on. 0; -EAGAIN: it runs, or waits for memory; or another -errno. 10 us.
 */
int wf_os_thread_place(int tid, long *ret_call, uintptr_t *ret_sp, uintptr_t *ret_pc);
/* The name of a system call that may block; NULL: it is none that we know. */
const char *wf_os_syscall_name(long number);
/* Sends sig to thread tid of this process. */
int wf_os_thread_kill(int tid, int sig);
/*
 * A lock of libc's that code holds whose stack is [lo, hi), and what it is ("pthread mutex"); or
 * NULL. libweft-lint knows, if it was loaded before the program (tools/lint).
 */
const void *wf_os_lock_held(uintptr_t lo, uintptr_t hi, const char **ret_kind);
/*
 * Changes the nice value of thread tid by delta. 0, -EACCES (raising the priority needs
 * privilege).
 */
int wf_os_thread_nice(int tid, int delta);
/* How many threads this process has, or -errno; those of the kernel's own that serve its
 * io_uring(7) are not counted. */
int wf_os_thread_count(void);
void wf_os_thread_yield(void);
/* Calls fn(arg) on the thread that ends, when one that called this ends. arg is not NULL. */
int wf_os_at_thread_exit(void (*fn)(void *), void *arg);
__attribute__((noreturn)) void wf_os_thread_exit(void);
/*
 * What the C++ library keeps for a thread: the exceptions whose catch blocks it is in, newest
 * first, and how many are on their way. Laid out by the Itanium C++ ABI (2.2.2), the same in
 * libstdc++ and libc++abi. Of the calling thread, until it ends; NULL in a program without C++.
 */
struct wf_os_exceptions {
	void *caught;
	unsigned int uncaught;
};
struct wf_os_exceptions *wf_os_exceptions(void);
/* Timer slack of this thread to 1 ns: a 1 ms sleep is then 25 us late, not 72. */
void wf_os_timer_slack_min(void);
/* Registers for, and makes, an expedited barrier on all threads of the process. 0 or -errno. */
int wf_os_membarrier_init(void);
int wf_os_membarrier(void);
/* Names the calling thread for ps and gdb; at most 15 bytes are kept. */
void wf_os_thread_name(const char *name);
/* fn runs in the child after each fork(2). */
void wf_os_at_fork_child(void (*fn)(void));

/* ---- memory.c ---- */

/*
 * Private anonymous memory, zero, readable and writable, no swap reserved; NULL when there is
 * none.
 */
void *wf_os_map(size_t bytes);
void wf_os_unmap(void *p, size_t bytes);
/* Has such pages be there at once, not by a fault for each. A hint: one that is not had faults. */
void wf_os_touch(void *p, size_t bytes);
/* Puts such memory, fresh, in place of p to p + bytes, whole pages of some. 0 or -errno. */
int wf_os_map_again(void *p, size_t bytes);
/* Any access to [p, p+bytes) faults from now on: cheap guards, or by mprotect. 0 or -errno. */
int wf_os_guard_install(void *p, size_t bytes);
int wf_os_protect_none(void *p, size_t bytes);
/*
 * Guards of guard_bytes at each of n places, and pages of page_bytes at as many others, which are
 * there afterwards as if they had been written: two calls of the kernel (Linux 6.15) for all.
 * n <= WF_OS_READY_MAX. 0, or -errno: then some of it may be done.
 */
#define WF_OS_READY_MAX 8u
int wf_os_make_ready(void *const guards[], size_t guard_bytes, void *const pages[],
    size_t page_bytes, unsigned n);
/* Gives the pages back; they read as zero afterwards. Guards stay. */
int wf_os_dontneed(void *p, size_t bytes);
/*
 * Tells valgrind that lo to hi is a stack: else memcheck takes a switch there for one huge frame,
 * and calls what others have there uninitialised. Returns its id for wf_os_stack_forget().
 */
uint32_t wf_os_stack_announce(uintptr_t lo, uintptr_t hi);
void wf_os_stack_forget(uint32_t id);
/* How many bytes of [p, p+bytes), whole pages, lie below the first that was ever touched. All, too,
 * if that can't be told. */
size_t wf_os_untouched(void *p, size_t bytes);
/* No huge pages here: a stack should cost the pages it touches. */
void wf_os_nohugepage(void *p, size_t bytes);
size_t wf_os_page_size(void);
/* Does reading one byte at p fault? Tries it, in a child-free way (write(2) from it). */
bool wf_os_faults(const void *p);

/* ---- cpu.c ---- */

/* Processors in this process's affinity mask, >= 1. */
int wf_os_affinity_count(void);
/* Reads a whole small file into buf, NUL-terminated. Length or -errno. */
ssize_t wf_os_read_file(const char *path, char *buf, size_t cap);
/* The value of an environment variable, or NULL. */
const char *wf_os_getenv(const char *name);

/* ---- signal.c, sigstack.c ---- */

typedef void (*wf_os_sigfn)(int, siginfo_t *, void *);
/* Installs fn with SA_ONSTACK|SA_SIGINFO|SA_RESTART|SA_NODEFER (so that a fault in a handler is
 * handled too); the one before goes to ret_old if not NULL. */
int wf_os_sigaction(int sig, wf_os_sigfn fn, struct sigaction *ret_old);
/* The same, but fn is not entered again for sig while it runs: for signals that come in storms. */
int wf_os_sigaction_deferred(int sig, wf_os_sigfn fn);
int wf_os_sigaction_ignore(int sig);
int wf_os_sigaction_get(int sig, struct sigaction *ret);
int wf_os_sigaction_restore(int sig, const struct sigaction *old);
/*
 * Gives the calling thread an alternate signal stack unless it has one. Returns what to free,
 * or NULL.
 */
void *wf_os_sigaltstack_new(size_t bytes);
void wf_os_sigaltstack_free(void *stack, size_t bytes);
/* How much larger than it was asked for such a stack is at most: the kernel's frame, and a page. */
#define WF_OS_SIGALTSTACK_EXTRA ((size_t)256 << 10)
/* Does the address lie in it? */
bool wf_os_sigaltstack_has(const void *stack, size_t bytes, uintptr_t address);
/* What a handler's third argument says of the interrupted code: its registers in DWARF's order
 * (at most n; 0 where not known) go to v, its pc is returned. */
uintptr_t wf_os_sigregs(const void *uctx, uintptr_t *v, size_t n);
/* SIGPROF whenever the process has used ns of CPU time; 0: no more. 0 or -errno. */
int wf_os_prof_timer(int64_t ns);
/* The time that it counts: of processors, used by the process. Signal-safe. */
int64_t wf_os_prof_time(void);
/* Around a handler's work: whatever it interrupts finds its errno unchanged. */
int wf_os_errno_save(void);
void wf_os_errno_restore(int saved);
/* Adds one to an eventfd. For handlers: whatever they interrupt finds its errno unchanged. */
void wf_os_eventfd_ring(int fd);
/* Sends sig to this process. */
void wf_os_kill_self(int sig);
/* Delivers sig to the calling thread with its default action. */
void wf_os_raise_default(int sig);
__attribute__((noreturn)) void wf_os_pause_forever(void);
__attribute__((noreturn)) void wf_os_exit(int status);
__attribute__((noreturn)) void wf_os_abort(void);

/* ---- elf.c: signal-safe ---- */

/* Copies n <= 4096 bytes at `from` of this process, which may be unmapped or guarded: 0,
 * -EFAULT, or another -errno when the kernel does not let us. */
int wf_os_peek(void *to, uintptr_t from, size_t n);
/* A whole file, readable; NULL when there is none. Freed with wf_os_unmap(). */
const void *wf_os_map_file(const char *path, size_t *ret_bytes);

/* An executable or library in memory. */
struct wf_os_elf {
	uintptr_t lo, hi;		/* its addresses; there may be holes */
	uintptr_t bias;			/* address in memory minus address in the file */
	const char *path;		/* "" = the program itself. The loader's: gone after
					 * dlclose(3) */
	uintptr_t eh_frame_hdr;		/* its table of frame descriptions; 0 = none */
};

/* At the start: looks up what wf_os_elf_find() must know without a lock. Takes the loader's. */
void wf_os_elf_prepare(void);
/* What is loaded at pc? False: nothing, or (before glibc 2.35) a library. Takes no lock. */
bool wf_os_elf_find(uintptr_t pc, struct wf_os_elf *ret);
/*
 * Has the program been bound to all library functions that it calls before it started? Else the
 * first call of each takes some 3 KiB of the caller's stack. Not signal-safe.
 */
bool wf_os_binds_early(void);
/* The path of the running program. */
bool wf_os_exe_path(char *buf, size_t cap);

/* ---- fd.c: as the system calls of the same names, EINTR retried where nothing was done ---- */

ssize_t wf_os_read(int fd, void *buf, size_t n);
ssize_t wf_os_write(int fd, const void *buf, size_t n);
ssize_t wf_os_readv(int fd, const struct iovec *v, int n);
/* writev(2) that never raises SIGPIPE. */
ssize_t wf_os_writev_quiet(int fd, const struct iovec *v, int n);
/* Never waits, also on a blocking descriptor: -EAGAIN; -EOPNOTSUPP where that can't be had.
 * Raises no SIGPIPE. */
ssize_t wf_os_readv_nowait(int fd, const struct iovec *v, int n);
ssize_t wf_os_writev_nowait(int fd, const struct iovec *v, int n);
/* At off; < 0: at the file's own position. */
ssize_t wf_os_preadv(int fd, const struct iovec *v, int n, off_t off);
ssize_t wf_os_pwritev(int fd, const struct iovec *v, int n, off_t off);
/* Likewise, of files: only what can be had without waiting for a disk, else -EAGAIN, or -EOPNOTSUPP
 * where that can't be told. */
ssize_t wf_os_preadv_nowait(int fd, const struct iovec *v, int n, off_t off);
ssize_t wf_os_pwritev_nowait(int fd, const struct iovec *v, int n, off_t off);
/* Raises no SIGPIPE. off NULL: at the file's own offset. */
ssize_t wf_os_sendfile(int out_fd, int in_fd, off_t *off, size_t n);
/* Between files, at their own offsets. */
ssize_t wf_os_copy_file_range(int in_fd, int out_fd, size_t n);
/* One of both is a pipe. Does not wait for it, nor for the other if that is O_NONBLOCK. The quiet
 * one raises no SIGPIPE. */
ssize_t wf_os_splice(int in_fd, int out_fd, size_t n);
ssize_t wf_os_splice_quiet(int in_fd, int out_fd, size_t n);
/* A pipe, close-on-exec; ret[0] reads. */
int wf_os_pipe(int ret[2]);
/* How much it holds from now on, or -errno (-EPERM: more than the user may have). */
int wf_os_pipe_size(int fd, int bytes);
int wf_os_close(int fd);
/* Another number for the same open file, close-on-exec. */
int wf_os_dup(int fd);
/*
 * fd, or if it has the number of a standard stream, because the program has closed that, a copy of
 * it that has not, and fd is closed. Close-on-exec.
 */
int wf_os_above_stdio(int fd);
/* O_NONBLOCK set: 1, not: 0; or -errno. */
int wf_os_is_nonblock(int fd);
int wf_os_set_nonblock(int fd, bool on);
/* poll(2) that does not wait: revents, 0 or -errno; -EBADF for what is not open. */
int wf_os_poll_now(int fd, short events);
/* poll(2) that blocks the thread, in ms, -1 for ever. */
int wf_os_poll_wait(int fd, short events, int timeout_ms);
/* What kind of open file it is, or -errno. */
enum wf_os_file {
	WF_OS_FILE_SOCKET,
	WF_OS_FILE_DISK,		/* regular file, directory, block device: always ready */
	WF_OS_FILE_STREAM,		/* the rest: pipes, terminals, eventfds, ... */
};
int wf_os_file_type(int fd);
/* A number that no other open socket has; 0 for what is not a socket. 0 or -errno. */
int wf_os_socket_id(int fd, uint64_t *ret_id);

/* ---- file.c: as the system calls of the same names; they block ---- */

/* Close-on-exec. */
int wf_os_open(const char *path, int flags, mode_t mode);
/* To write an empty file: a new one, or what was there is cut off. */
int wf_os_create(const char *path, mode_t mode);
int wf_os_fsync(int fd, bool data_only);
int wf_os_ftruncate(int fd, off_t length);
/* Of a socket before it is bound: what the file gets. */
int wf_os_fchmod(int fd, mode_t mode);
int wf_os_fstat(int fd, struct stat *ret);
int wf_os_stat(const char *path, struct stat *ret);
int wf_os_lstat(const char *path, struct stat *ret);
int wf_os_rename(const char *from, const char *to);
int wf_os_unlink(const char *path);
int wf_os_mkdir(const char *path, mode_t mode);
int wf_os_rmdir(const char *path);
/* As scandir(3), sorted by name: how many. */
int wf_os_scandir(const char *path, struct dirent ***ret);

/* ---- socket.c ---- */

ssize_t wf_os_recv(int fd, void *buf, size_t n, int flags);
ssize_t wf_os_send(int fd, const void *buf, size_t n, int flags);
ssize_t wf_os_recvfrom(
    int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len);
ssize_t wf_os_sendto(
    int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len);
ssize_t wf_os_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t wf_os_sendmsg(int fd, const struct msghdr *m, int flags);
/* Non-blocking and close-on-exec, like those of socket(). */
int wf_os_accept(int fd, struct sockaddr *from, socklen_t *len);
int wf_os_socket(int family, int type, int protocol);
/* -EINPROGRESS also when a signal came between. */
int wf_os_connect(int fd, const struct sockaddr *to, socklen_t len);
int wf_os_bind(int fd, const struct sockaddr *a, socklen_t len);
int wf_os_listen(int fd, int backlog);
int wf_os_setsockopt_int(int fd, int level, int opt, int value);
int wf_os_getsockopt_int(int fd, int level, int opt, int *ret_value);
int wf_os_getpeername(int fd, struct sockaddr *a, socklen_t *len);
int wf_os_getsockname(int fd, struct sockaddr *a, socklen_t *len);
/* As getaddrinfo(3): blocks the thread. Its EAI_ code, and -errno in *ret_errno for EAI_SYSTEM. */
int wf_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int *ret_errno);
void wf_os_freeaddrinfo(struct addrinfo *res);

/* ---- process.c ---- */

struct wf_os_spawn {
	const char *path;
	char *const *argv;
	char *const *env;
	const char *dir;		/* or NULL */
	const int *fds;			/* what the child has as 0, 1, ...; -1: nothing */
	int nfds;
	bool own_group;
	int pidfd;			/* an open descriptor, which becomes the child's */
};

struct wf_os_exit {
	int code, signal;
	bool dumped;
	int64_t user_ns, system_ns, max_rss;
};

/*
 * Starts a program that has those descriptors and no others. Blocks the thread until it runs, or
 * could not: then there is no child. 0 or -errno, -ENOSYS without pidfds.
 */
int wf_os_spawn(const struct wf_os_spawn *s, int *ret_pid);
/*
 * The file that name stands for, by PATH, for whoever starts in dir (NULL: here). 0, -ENOENT,
 * -EACCES, -ENAMETOOLONG, or why dir cannot be had.
 */
int wf_os_find_program(const char *name, const char *dir, char *buf, size_t cap);
char *const *wf_os_environ(void);
/* /dev/null, close-on-exec, none of 0 to 2. */
int wf_os_open_null(bool writes);
/* Takes the status of a child that has ended. 0, -EAGAIN it runs, -ECHILD somebody else took it. */
int wf_os_wait_pidfd(int pidfd, struct wf_os_exit *ret);
int wf_os_kill_pidfd(int pidfd, int sig);
int wf_os_kill_group(int pid, int sig);

/* ---- epoll.c ---- */

int wf_os_epoll_create(void);
/* op: EPOLL_CTL_ADD, MOD, DEL. */
int wf_os_epoll_ctl(int epfd, int op, int fd, uint32_t events, uint64_t data);
/* timeout_ns: < 0 waits for ever, 0 not at all. Count, 0, or -errno (-EINTR too). */
int wf_os_epoll_wait(int epfd, struct epoll_event *ev, int n, int64_t timeout_ns);
int wf_os_eventfd(void);

/* ---- uring.c ---- */

/* A ring and where its parts are. Entries of both are powers of two. */
struct wf_os_uring {
	int fd;				/* close-on-exec; readable when there are completions */
	uint32_t sq_entries, cq_entries;
	_Atomic uint32_t *sq_head;	/* written by the kernel, as sq_flags and cq_tail */
	_Atomic uint32_t *sq_tail;
	_Atomic uint32_t *sq_flags;
	_Atomic uint32_t *cq_head;
	_Atomic uint32_t *cq_tail;
	struct io_uring_sqe *sqes;	/* the i-th request is sqes[i % sq_entries] */
	struct io_uring_cqe *cqes;
	void *ring;
	size_t ring_bytes, sqes_bytes;
};

/* Children do not inherit its memory. 0, -ENOSYS, -EPERM (seccomp, sysctl), -EOPNOTSUPP (a kernel
 * before 5.12), -ENOMEM, -EMFILE, ... */
int wf_os_uring_open(struct wf_os_uring *u, uint32_t sq_entries, uint32_t cq_entries);
void wf_os_uring_close(struct wf_os_uring *u);
/* Was there ever a ring? */
bool wf_os_uring_is_used(void);
/* Does the kernel know all these IORING_OP_? */
bool wf_os_uring_knows(const struct wf_os_uring *u, const uint8_t *ops, size_t n);
/* Hands over the next n requests. How many were taken, or -errno: none. Blocks for no request. */
int wf_os_uring_submit(const struct wf_os_uring *u, uint32_t n);
/* Waits until there are completions. timeout_ns: < 0 for ever; 0 not at all, only moves those over
 * that had no room in the ring. 0, -ETIME, -EINTR, -EBUSY, ... */
int wf_os_uring_wait(const struct wf_os_uring *u, int64_t timeout_ns);

#endif /* WEFT_OS_OS_H */
