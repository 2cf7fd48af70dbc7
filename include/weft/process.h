/*
 * Child processes: started without fork(2), waited for by parking, killed with all they
 * started. Over pidfds, so that a number given out again is never signalled or waited for,
 * and no handler of SIGCHLD is touched. Linux 5.4.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <sys/types.h>
#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_process weft_process;

/* What the child has for its standard input, output, error. A descriptor is WEFT_STDIO_FD(fd). */
#define WEFT_STDIO_INHERIT 0	/* what this process has */
#define WEFT_STDIO_NULL (-1)	/* /dev/null */
#define WEFT_STDIO_PIPE (-2)	/* a pipe, whose other end weft_process_stdio() hands out */
#define WEFT_STDIO_OUT (-3)	/* err only: where out goes */
#define WEFT_STDIO_FD(fd) ((fd) + 1)

typedef struct weft_spawn_options {	/* zero = defaults; size-versioned by the first member */
	size_t size;			/* sizeof(weft_spawn_options) */
	const char *const *env;		/* "NAME=value"..., NULL; NULL = this process's */
	const char *dir;		/* where it starts; NULL = where this process is */
	int in, out, err;		/* WEFT_STDIO_ */
	const int *fds;			/* more descriptors, which become 3, 4, ...; -1: a gap */
	size_t nfds;
	bool group;			/* leads a process group, which kills reach as a whole */
	int kill_signal;		/* what a cancelled wait sends first; 0 = SIGKILL */
	int64_t kill_delay;		/* ns from then to SIGKILL; 0 = none, if another was sent */
	const void *input;		/* weft_run() only: what it finds on its standard input */
	size_t input_size;
	int64_t wait_delay;		/* weft_run() only: ns for output after its end; 0 = any */
} weft_spawn_options;

/* How a process ended, and what it used. */
typedef struct weft_exit {
	int code;			/* exit status; -1: ended by a signal */
	int signal;			/* that signal, else 0 */
	bool dumped;			/* it left a core file */
	int64_t user_ns, system_ns;	/* processor time, of its waited-for children too */
	int64_t max_rss;		/* bytes of memory at the most */
} weft_exit;

/**
 * weft_spawn - start a program
 * @argv: its arguments; the first, without a slash, is looked for in this process's PATH. That,
 *        if relative, and relative entries of PATH count from @o's dir
 * @o:    or NULL. Its pointers are borrowed for the call
 *
 * The child has the descriptors that @o names and no others, signal handlers at their
 * defaults (what is ignored stays ignored), and the caller's signal mask. Blocks the
 * thread, not the others, until the program runs or is known not to.
 *
 * Returns 0 and *@ret, for weft_process_free(), or -ENOENT, -EACCES, -ENOEXEC and what else
 * execve(2) or chdir(2) of dir said, -EBADF (fds), -EINVAL (no argument, a bad option),
 * -EMFILE, -EAGAIN, -ENOMEM, -ENOSYS (the kernel has no pidfds).
 */
WEFT_API int weft_spawn(
    const char *const *argv, const weft_spawn_options *o, weft_process **ret) WEFT_MUST_USE;

/** weft_process_pid - its number; another's, maybe, once it was waited for. */
WEFT_API pid_t weft_process_pid(const weft_process *p);

/**
 * weft_process_stdio - our end of its standard input (@n 0), output (1) or error (2)
 *
 * Given to the caller, once: close it with weft_close(), the input to let the child see its
 * end. Never 0 to 2, also where these are closed. -EBADF if there is none. What is not taken is
 * closed by weft_process_free().
 */
WEFT_API int weft_process_stdio(weft_process *p, int n);

/** weft_process_kill - a signal to it or, with group set, to its group. -ESRCH: it was waited
 * for. Any goroutine. */
WEFT_API int weft_process_kill(weft_process *p, int signo);

/**
 * weft_wait - wait until it has ended
 * @ret: how it ended, or NULL; not written with -ETIMEDOUT and -ECHILD
 *
 * Returns 0; any number of goroutines may wait, and again. -ETIMEDOUT: it still runs.
 * -ECANCELED: the scope of the caller is cancelled; the process was killed (kill_signal,
 * then after kill_delay SIGKILL) and has ended. -ECHILD: something else in this program
 * waited for it (a waitpid(2) for any child, or SIGCHLD ignored) and knows how it ended.
 */
WEFT_API int weft_wait(weft_process *p, weft_exit *ret, int64_t deadline);

/** weft_process_free - kills it (SIGKILL) and waits, if it runs; frees. NULL is allowed. */
WEFT_API void weft_process_free(weft_process *p);

/* What weft_run() collected. The buffers have a NUL behind their end. */
typedef struct weft_output {
	weft_exit exit;
	char *out, *err;		/* NULL where it was no pipe */
	size_t out_size, err_size;
} weft_output;

/**
 * weft_run - start a program, feed and hear it, until it has ended
 * @o:   or NULL: in is WEFT_STDIO_NULL, out and err are collected. With @o what it sets to
 *       WEFT_STDIO_PIPE is collected, and its input, if any, becomes a pipe by itself
 * @ret: free with weft_output_free() in any case
 *
 * Returns 0 when it ended and its output too, whatever its exit status. Else how weft_spawn()
 * failed, or -ETIMEDOUT, -ECANCELED: it was killed (at the deadline with kill_signal and
 * kill_delay as well); -EBUSY: it ended, but something that it started kept its output open for
 * more than wait_delay; -ENOMEM; -ECHILD. *@ret holds what there was until then.
 */
WEFT_API int weft_run(const char *const *argv, const weft_spawn_options *o, weft_output *ret,
    int64_t deadline) WEFT_MUST_USE;
WEFT_API void weft_output_free(weft_output *ret);

WEFT_END_DECLS

#endif /* WEFT_PROCESS_H */
