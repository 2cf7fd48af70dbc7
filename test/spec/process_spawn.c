/*
 * Starting child processes: what they get, and what they do not get.
 */
#include "process_util.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* SCENARIOS 248. A shell script's caller relies on exactly these. */
TEST(exit_codes_and_signals_are_told)
{
	weft_exit e = run_script("exit 0", NULL);

	EXPECT_EQ(e.code, 0);
	EXPECT_EQ(e.signal, 0);
	e = run_script("exit 42", NULL);
	EXPECT_EQ(e.code, 42);
	e = run_script("kill -TERM $$", NULL);
	EXPECT_EQ(e.code, -1);
	EXPECT_EQ(e.signal, SIGTERM);
	EXPECT(!e.dumped);
	EXPECT(e.max_rss > 100000);
	EXPECT(e.user_ns + e.system_ns >= 0);
}

/* SCENARIOS 248. Whoever starts what is not there must be told at once, and no child is left. */
TEST(what_cannot_run_is_told)
{
	char path[] = "/tmp/weft_process_XXXXXX";
	int fd = mkstemp(path), before = open_fds(), bad[1] = {999};
	weft_spawn_options nodir = {.size = sizeof(nodir), .dir = "/nonexistent"};
	weft_spawn_options nofd = {.size = sizeof(nofd), .fds = bad, .nfds = 1};
	weft_spawn_options nonsense = {.size = sizeof(nonsense), .in = -77};
	weft_process *p = NULL;

	EXPECT_EQ(weft_spawn((const char *const[]){"weft-no-such-program", NULL}, NULL, &p),
	    -ENOENT);
	EXPECT_EQ(weft_spawn((const char *const[]){"/no/such", NULL}, NULL, &p), -ENOENT);
	EXPECT_EQ(weft_spawn((const char *const[]){"", NULL}, NULL, &p), -ENOENT);
	EXPECT_EQ(weft_spawn((const char *const[]){"/tmp", NULL}, NULL, &p), -EACCES);
	EXPECT_EQ(weft_spawn((const char *const[]){path, NULL}, NULL, &p), -EACCES);
	EXPECT_EQ(write(fd, "no program", 10), 10);
	EXPECT_EQ(fchmod(fd, 0700), 0);
	EXPECT_EQ(close(fd), 0);
	EXPECT_EQ(weft_spawn((const char *const[]){path, NULL}, NULL, &p), -ENOEXEC);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(weft_spawn(SH(":"), &nodir, &p), -ENOENT);
	EXPECT_EQ(weft_spawn(SH(":"), &nofd, &p), -EBADF);
	EXPECT_EQ(weft_spawn(SH(":"), &nonsense, &p), -EINVAL);
	EXPECT_EQ(weft_spawn((const char *const[]){NULL}, NULL, &p), -EINVAL);
	EXPECT_EQ(weft_spawn(NULL, NULL, &p), -EINVAL);
	EXPECT(p == NULL);
	expect_open(before - 1);
	errno = 0;
	EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
	EXPECT_EQ(errno, ECHILD);
}

/* SCENARIOS 241, 248. Standard streams, both ways at once, as a filter is used. */
TEST(the_standard_streams_are_pipes)
{
	weft_spawn_options o = {.size = sizeof(o), .in = WEFT_STDIO_PIPE, .out = WEFT_STDIO_PIPE,
	    .err = WEFT_STDIO_PIPE};
	weft_process *p;
	weft_exit e;
	int in;

	EXPECT_EQ(weft_spawn(SH("cat; echo ready >&2"), &o, &p), 0);
	in = weft_process_stdio(p, 0);
	EXPECT(in >= 0);
	EXPECT_EQ(weft_process_stdio(p, 0), -EBADF);
	EXPECT_EQ(weft_process_stdio(p, 3), -EBADF);
	EXPECT_EQ(weft_process_stdio(p, -1), -EBADF);
	EXPECT(fcntl(in, F_GETFD) & FD_CLOEXEC);
	EXPECT(fcntl(in, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(weft_write(in, "over and out", 12, soon()), 12);
	EXPECT_EQ(weft_close(in), 0);
	EXPECT_STR(read_text(weft_process_stdio(p, 1)), "over and out");
	EXPECT_STR(read_text(weft_process_stdio(p, 2)), "ready\n");
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	EXPECT_EQ(e.code, 0);
	weft_process_free(p);
}

static char *
output_of(const char *script, weft_spawn_options *o)
{
	weft_process *p;
	char *text;

	o->size = sizeof(*o);
	o->out = WEFT_STDIO_PIPE;
	EXPECT_EQ(weft_spawn(SH(script), o, &p), 0);
	text = read_text(weft_process_stdio(p, 1));
	EXPECT_EQ(weft_wait(p, NULL, soon()), 0);
	weft_process_free(p);
	return text;
}

TEST(environment_directory_and_streams_are_as_asked)
{
	const char *env[] = {"PATH=/bin:/usr/bin", "WEFT_TEST_NAME=value", NULL};
	weft_spawn_options o = {.env = env, .dir = "/usr"};
	int fd = open("/dev/null", O_RDONLY);

	EXPECT_STR(output_of("echo $WEFT_TEST_NAME; pwd; echo $HOME", &o), "value\n/usr\n\n");
	EXPECT_EQ(setenv("WEFT_TEST_NAME", "inherited", 1), 0);
	o = (weft_spawn_options){.err = WEFT_STDIO_OUT};
	EXPECT_STR(output_of("echo $WEFT_TEST_NAME; echo x >&2", &o), "inherited\nx\n");
	o = (weft_spawn_options){.in = WEFT_STDIO_FD(fd), .err = WEFT_STDIO_NULL};
	EXPECT_STR(output_of("cat; echo lost >&2; echo kept", &o), "kept\n");
	EXPECT_EQ(weft_close(fd), 0);
}

/*
 * SCENARIOS 254. The child has what it was given, in whatever order the numbers are, and nothing
 * else: neither ours nor those that the program opened without close-on-exec. A descriptor left
 * open keeps a connection alive that everybody believes is closed.
 */
TEST(a_child_has_only_the_descriptors_it_was_given)
{
	int leaky = open("/dev/zero", O_RDONLY), pair[2], tcp[2], fds[4];
	weft_spawn_options o = {.fds = fds, .nfds = 4};
	char *text;

	EXPECT_EQ(pipe(pair), 0);
	tcp_pair(tcp);
	/* Each is in the way of another. */
	for (int i = 0; i < 4; i++) {
		fds[i] = open("/dev/null", O_WRONLY | O_CLOEXEC);
		EXPECT(fds[i] >= 0);
	}
	text = output_of("ls /proc/self/fd | tr '\\n' ' '", &o);
	/* ls has one more while it looks. */
	EXPECT_STR(text, "0 1 2 3 4 5 6 7 ");
	o.nfds = 0;
	EXPECT_STR(output_of("ls /proc/self/fd | tr '\\n' ' '", &o), "0 1 2 3 ");
	EXPECT(leaky >= 0);
}

TEST(descriptors_that_overlap_arrive_in_their_places)
{
	int files[3], fds[5];
	weft_spawn_options o = {.fds = fds, .nfds = 5};

	for (int i = 0; i < 3; i++) {
		char path[] = "/tmp/weft_process_XXXXXX";

		files[i] = mkstemp(path);
		EXPECT_EQ(unlink(path), 0);
		EXPECT_EQ(write(files[i], &"abc"[i], 1), 1);
		EXPECT_EQ(lseek(files[i], 0, SEEK_SET), 0);
	}
	/* Numbers 3, 4, 5 are the files' own: backwards, twice the same, and one that is not. */
	EXPECT_EQ(dup2(files[0], 3), 3);
	EXPECT_EQ(dup2(files[1], 4), 4);
	EXPECT_EQ(dup2(files[2], 5), 5);
	fds[0] = 5;
	fds[1] = 4;
	fds[2] = 3;
	fds[3] = -1;
	fds[4] = 1;
	EXPECT_STR(output_of("cat <&3; cat <&4; cat <&5; [ -e /proc/self/fd/6 ] || echo none; "
			     "[ -e /proc/self/fd/7 ] && echo out",
		       &o),
	    "cbanone\nout\n");
}

/* What the program handles must not happen in the child; what it ignores stays ignored (nohup). */
static void
must_not_run(int sig)
{
	(void)sig;
	abort();
}

TEST(handlers_stay_here_and_ignored_signals_stay_ignored)
{
	weft_spawn_options o = {0};
	struct sigaction sa;

	signal(SIGUSR1, must_not_run);
	signal(SIGUSR2, SIG_IGN);
	EXPECT_STR(output_of("trap - USR1; kill -USR2 $$; echo alive; "
			     "cat /proc/self/status | grep -E 'Sig(Blk|Cgt)' | tr -d '\\n\\t'",
		       &o),
	    "alive\nSigBlk:0000000000000000SigCgt:0000000000000000");
	EXPECT_EQ(sigaction(SIGUSR1, NULL, &sa), 0);
	EXPECT(sa.sa_handler == must_not_run);
	EXPECT_EQ(run_script("kill -USR1 $$", NULL).signal, SIGUSR1);
}

/* A group of its own: a Ctrl-C at our terminal does not reach it, one kill reaches all of it. */
TEST(a_group_is_its_own)
{
	weft_spawn_options o = {.group = true};
	int group = 0, pid = 0;

	EXPECT_EQ(sscanf(output_of("ps -o pgid= -p $$; echo $$", &o), "%d %d", &group, &pid), 2);
	EXPECT_EQ(group, pid);
	o = (weft_spawn_options){0};
	EXPECT_EQ(sscanf(output_of("ps -o pgid= -p $$", &o), "%d", &group), 1);
	EXPECT_EQ(group, getpgrp());
}

/* A header of before, with fewer members, goes on working. */
TEST(options_of_an_older_size_are_taken)
{
	weft_spawn_options o = {.err = -77}; /* nonsense, beyond what size says is there */

	o.size = offsetof(weft_spawn_options, in);
	o.dir = "/";
	EXPECT_EQ(run_script("[ \"$(pwd)\" = / ]", &o).code, 0);
}

/*
 * A daemon has closed its standard streams. What we open for the child must not get their numbers:
 * the daemon's printf would go to the child, and its dup2(2) would close the pidfd.
 */
TEST(nothing_of_ours_becomes_a_closed_standard_stream)
{
	weft_spawn_options o = {.size = sizeof(o), .in = WEFT_STDIO_PIPE, .out = WEFT_STDIO_PIPE};
	const char *const path[] = {"/proc/self/fd/0", "/proc/self/fd/1"};
	weft_process *p, *silent;
	char link[64];
	int in, out;
	weft_exit e;

	EXPECT_EQ(close(0), 0);
	EXPECT_EQ(close(1), 0);
	EXPECT_EQ(weft_spawn(SH("read x; echo got $x"), &o, &p), 0);
	EXPECT_EQ(weft_spawn(SH("exit 5"), NULL, &silent), 0);
	in = weft_process_stdio(p, 0);
	out = weft_process_stdio(p, 1);
	EXPECT(in > 2 && out > 2);
	/* The runtime's monitor has one open now and then, for a moment: so what it is matters. */
	for (int i = 0; i < 2; i++) {
		ssize_t n = readlink(path[i], link, sizeof(link));

		EXPECT(n < 0 || memmem(link, (size_t)n, "pidfd", 5) == NULL);
	}
	EXPECT_EQ(weft_write(in, "it\n", 3, soon()), 3);
	EXPECT_STR(read_text(out), "got it\n");
	EXPECT_EQ(weft_close(in), 0);
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	EXPECT_EQ(e.code, 0);
	EXPECT_EQ(weft_wait(silent, &e, soon()), 0);
	EXPECT_EQ(e.code, 5);
	weft_process_free(p);
	weft_process_free(silent);
}

/* As posix_spawnp(3): what PATH says counts from where the child is, not from where we are. */
TEST(relative_paths_count_from_the_childs_directory)
{
	char dir[] = "/tmp/weft_process_XXXXXX", path[64];
	weft_spawn_options o = {.size = sizeof(o), .dir = dir};
	const char *argv[] = {"weft-tool", NULL};
	weft_process *p;
	weft_exit e;
	int fd;

	EXPECT(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/weft-tool", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	EXPECT_EQ(write(fd, "#!/bin/sh\nexit 6\n", 17), 17);
	EXPECT_EQ(close(fd), 0);
	EXPECT_EQ(setenv("PATH", "nowhere:.:/bin:/usr/bin", 1), 0);
	EXPECT_EQ(weft_spawn(argv, &o, &p), 0);
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	EXPECT_EQ(e.code, 6);
	weft_process_free(p);
	EXPECT_EQ(weft_spawn(argv, NULL, &p), -ENOENT);
	argv[0] = "./weft-tool";
	EXPECT_EQ(weft_spawn(argv, &o, &p), 0);
	EXPECT_EQ(weft_wait(p, &e, soon()), 0);
	EXPECT_EQ(e.code, 6);
	weft_process_free(p);
	o.dir = path;
	EXPECT_EQ(weft_spawn(argv, &o, &p), -ENOTDIR);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(rmdir(dir), 0);
}

/* From a thread that weft did not start, and while others start and open. */
static void
spawn_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(run_script("exit 3", NULL).code, 3);
}

static void *
spawn_on_a_thread(void *arg)
{
	spawn_some(arg);
	return NULL;
}

TEST(threads_and_goroutines_start_children_together)
{
	weft_waitgroup wg = {0};
	pthread_t t;

	EXPECT_EQ(pthread_create(&t, NULL, spawn_on_a_thread, NULL), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(weft_waitgroup_go(&wg, spawn_some, NULL), 0);
	EXPECT_EQ(weft_waitgroup_wait(&wg, soon()), 0);
	weft_syscall_enter();
	EXPECT_EQ(pthread_join(t, NULL), 0);
	weft_syscall_exit();
}
