/*
 * The same work by processes, by threads and by goroutines: computing, waiting, and serving many
 * connections, which is both. docs/models.md explains what one sees.
 *
 * BENCH_PSTREE=1 shows the tree of processes and threads while all are there.
 */
#define _GNU_SOURCE
#include <weft.h>

#include "lib/harness.h"
#include "lib/server.h"
#include "lib/usage.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

enum { WORKERS = 5, COUNT = 100000, MESSAGE = 64, STACK = 65536 };

/* How work is shared out, and what its workers use to keep out of each other's way. */
struct model {
	void (*start)(void (*work)(long), long arg);
	void (*join_all)(void);
	void (*lock)(void);
	void (*unlock)(void);
	void (*sleep)(int64_t ns);
	/* All wait at the gate until it is opened. */
	void (*gate_wait)(void);
	void (*gate_open)(void);
};

static const struct model *model;

/* What all workers see, of whatever kind: mapped before they start. */
static struct shared {
	pthread_mutex_t lock;		/* for processes and threads */
	int gate;			/* for them: can be read when it is open */
	volatile long counter;
} *shared;

static void
share(void)
{
	pthread_mutexattr_t lock;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	BENCH_CHECK(shared != MAP_FAILED);
	pthread_mutexattr_init(&lock);
	pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &lock);
	shared->gate = eventfd(0, EFD_CLOEXEC);
	BENCH_CHECK(shared->gate >= 0);
}

static void
plain_sleep(int64_t ns)
{
	struct timespec t = {ns / (1000 * MS), ns % (1000 * MS)};

	nanosleep(&t, NULL);
}

static void
plain_lock(void)
{
	pthread_mutex_lock(&shared->lock);
}

static void
plain_unlock(void)
{
	pthread_mutex_unlock(&shared->lock);
}

/*
 * Not a condition: whoever is woken there takes its lock, one after the other, and each waits for
 * a CPU that thousands of those before it use already. The last of 10,000 was through after 17 s,
 * or not within two minutes.
 */
static void
plain_gate_wait(void)
{
	struct pollfd opened = {.fd = shared->gate, .events = POLLIN};

	while (poll(&opened, 1, -1) < 0)
		BENCH_CHECK(errno == EINTR);
}

static void
plain_gate_open(void)
{
	BENCH_CHECK(eventfd_write(shared->gate, 1) == 0);
}

static void
process_start(void (*work)(long), long arg)
{
	pid_t pid = fork();

	BENCH_CHECK(pid >= 0);
	if (pid == 0) {
		work(arg);
		_exit(0);
	}
}

static void
process_join_all(void)
{
	int status;

	while (wait(&status) > 0)
		BENCH_CHECK(status == 0);
}

static pthread_t threads[WORKERS];
static int n_threads;

struct job {
	void (*work)(long);
	long arg;
};

static void *
thread_main(void *arg)
{
	struct job job = *(struct job *)arg;

	free(arg);
	job.work(job.arg);
	return NULL;
}

/* The first WORKERS of them are joined; connections are never waited for. */
static void
thread_start(void (*work)(long), long arg)
{
	struct job *job = malloc(sizeof(*job));
	pthread_attr_t small;
	pthread_t t;

	BENCH_CHECK(job != NULL);
	*job = (struct job){work, arg};
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	BENCH_CHECK(pthread_create(&t, &small, thread_main, job) == 0);
	if (n_threads < WORKERS)
		threads[n_threads++] = t;
	else
		pthread_detach(t);
}

static void
thread_join_all(void)
{
	while (n_threads > 0)
		pthread_join(threads[--n_threads], NULL);
}

static weft_mutex goroutine_lock_word;
static weft_waitgroup goroutines, gate;

static void
goroutine_main(void *arg)
{
	struct job *job = arg;

	job->work(job->arg);
	weft_waitgroup_done(&goroutines);
}

static void
goroutine_start(void (*work)(long), long arg)
{
	struct job job = {work, arg};
	weft_go_options o = {sizeof(o), .copy = &job, .copy_size = sizeof(job)};

	weft_waitgroup_add(&goroutines, 1);
	BENCH_CHECK(weft_go_with(&o, goroutine_main, NULL) == 0);
}

static void
goroutine_join_all(void)
{
	weft_waitgroup_wait(&goroutines, WEFT_FOREVER);
}

static void
goroutine_lock(void)
{
	weft_mutex_lock(&goroutine_lock_word);
}

static void
goroutine_unlock(void)
{
	weft_mutex_unlock(&goroutine_lock_word);
}

static void
goroutine_sleep(int64_t ns)
{
	weft_sleep(ns);
}

static void
goroutine_gate_wait(void)
{
	weft_waitgroup_wait(&gate, WEFT_FOREVER);
}

static void
goroutine_gate_open(void)
{
	weft_waitgroup_done(&gate);
}

static const struct model models[] = {
    {process_start, process_join_all, plain_lock, plain_unlock, plain_sleep, plain_gate_wait,
        plain_gate_open},
    {thread_start, thread_join_all, plain_lock, plain_unlock, plain_sleep, plain_gate_wait,
        plain_gate_open},
    {goroutine_start, goroutine_join_all, goroutine_lock, goroutine_unlock, goroutine_sleep,
        goroutine_gate_wait, goroutine_gate_open},
};

enum { PROCESSES, THREADS, GOROUTINES };

/* Starts all workers, waits for them. */
static void
work(long which, void (*fn)(long), bool is_sampled)
{
	int64_t start;

	model = &models[which];
	share();
	start = bench_now();
	for (long i = 0; i < WORKERS; i++)
		model->start(fn, i);
	if (is_sampled) {
		model->sleep(bench_n(300) * MS);
		usage_sample();
	}
	model->join_all();
	bench_value("wall", "ms", (double)(bench_now() - start) / 1e6);
	usage_report((struct usage){0});
}

static void
count_alone(long arg)
{
	volatile long counter = 0;

	(void)arg;
	for (long i = 0; i < COUNT; i++)
		counter = counter + 1;
	model->lock();
	shared->counter = shared->counter + counter;
	model->unlock();
}

static void
count_together(long arg)
{
	(void)arg;
	for (long i = 0; i < COUNT; i++) {
		model->lock();
		shared->counter = shared->counter + 1;
		model->unlock();
	}
}

static void
separate(long which)
{
	work(which, count_alone, false);
	BENCH_CHECK(shared->counter == WORKERS * COUNT);
}

static void
together(long which)
{
	work(which, count_together, false);
	BENCH_CHECK(shared->counter == WORKERS * COUNT);
}

static void
wait_a_second(long arg)
{
	(void)arg;
	model->sleep(bench_n(1000) * MS);
}

static void
waits(long which)
{
	work(which, wait_a_second, true);
}

/* Reads, computes a little, answers: until the client goes. */
static void
serve_one(long arg)
{
	bool is_goroutine = model == &models[GOROUTINES];
	char buf[MESSAGE];
	int fd = (int)arg;

	model->gate_wait();
	for (;;) {
		ssize_t n = is_goroutine ? weft_read(fd, buf, sizeof(buf), WEFT_FOREVER)
		    : read(fd, buf, sizeof(buf));
		volatile int counter = 0;

		if (n <= 0)
			break;
		while (counter < 1000)
			counter = counter + 1;
		n -= is_goroutine ? weft_write(fd, buf, (size_t)n, WEFT_FOREVER)
		    : send(fd, buf, (size_t)n, MSG_NOSIGNAL);
		if (n != 0)
			break;
	}
	if (is_goroutine)
		weft_close(fd);
	else
		close(fd);
}

static long n_connections;

static void
accept_all(int listener)
{
	for (long i = 0; i < n_connections; i++) {
		int fd = model == &models[GOROUTINES] ?
		    weft_accept(listener, NULL, NULL, WEFT_FOREVER) : accept(listener, NULL, NULL);

		BENCH_CHECK(fd >= 0);
		model->start(serve_one, fd);
		if (model == &models[PROCESSES])
			close(fd);
	}
	usage_sample();
	model->gate_open();
}

static void
accept_goroutine(void *listener)
{
	accept_all((int)(intptr_t)listener);
}

static pid_t
start_server(int listener)
{
	if (model == &models[GOROUTINES])
		BENCH_CHECK(weft_go(accept_goroutine, (void *)(intptr_t)listener) == 0);
	else
		bench_serve_in_thread(accept_all, listener);
	return 0;
}

static void
connections(long which)
{
	struct usage load;

	model = &models[which];
	n_connections = bench_n(10000);
	share();
	weft_waitgroup_add(&gate, 1);
	bench_serve("echo", n_connections, start_server);
	/* The load has ended, and is the only child that has been waited for. */
	load = usage_of(RUSAGE_CHILDREN);
	if (which == PROCESSES)
		process_join_all();
	usage_report(load);
}

/*
 * Ten thousand threads or processes are begun one after the other, and the client takes turns with
 * them: some seconds on a machine at rest, minutes on one that is very busy.
 */
#define LIMIT_S 400

#define BY_ALL(what, fn, n) \
    {.name = what, .by = "process", .run = fn, .arg = PROCESSES, .procs = n, \
        .limit_s = LIMIT_S}, \
    {.name = what, .by = "thread", .run = fn, .arg = THREADS, .procs = n, \
        .limit_s = LIMIT_S}, \
    {.name = what, .run = fn, .arg = GOROUTINES, .procs = n, .limit_s = LIMIT_S}

static const struct bench_case cases[] = {
    BY_ALL("models_count_separate", separate, 2),
    BY_ALL("models_count_shared", together, 2),
    BY_ALL("models_wait", waits, 2),
    BY_ALL("models_connections", connections, 1),
};

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
