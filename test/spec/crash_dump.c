/*
 * weft_dump() is called on programs that are in trouble and must go on: it may not crash them, may
 * not stop them, and may not lie about who waits for what.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What weft_dump wrote; the caller frees it. */
static char *
dump_text(void)
{
	FILE *f = tmpfile();
	char *text;
	long n;

	EXPECT(f != NULL);
	weft_dump(fileno(f));
	n = lseek(fileno(f), 0, SEEK_END);
	text = calloc(1, (size_t)n + 1);
	EXPECT(text != NULL && n > 0);
	EXPECT_EQ(pread(fileno(f), text, (size_t)n, 0), n);
	fclose(f);
	return text;
}

static size_t
occurrences(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/* The paragraph of the goroutine with this name, from its bracket on and without the name; the
 * caller frees it. */
static char *
paragraph(const char *text, const char *name)
{
	char quoted[64], *p;
	const char *at, *from, *end;

	snprintf(quoted, sizeof(quoted), ", \"%s\"]:\n", name);
	at = from = strstr(text, quoted);
	if (at == NULL)
		FAIL("no goroutine \"%s\" in:\n%s", name, text);
	while (strncmp(from, " [", 2) != 0)
		from--;
	end = strstr(at, "\n\n");
	p = strndup(from, end != NULL ? (size_t)(end + 1 - from) : strlen(from));
	memmove(p + (at - from), p + (at - from) + strlen(quoted) - 3,
	    strlen(p + (at - from) + strlen(quoted) - 3) + 1);
	return p;
}

static void
expect_paragraph(const char *text, const char *name, const char *part)
{
	char *p = paragraph(text, name);

	EXPECT_CONTAINS(p, part);
	free(p);
}

static weft_chan *never;
static weft_mutex held;
static weft_rwmutex read_held, write_held;
static weft_cond cond;
static weft_mutex cond_mutex;
static weft_waitgroup busy;
static weft_sem sem;

__attribute__((noinline)) static void
start(const char *name, void (*fn)(void *), void *arg)
{
	weft_go_options o = {.size = sizeof(o), .name = name};

	EXPECT_EQ(weft_go_with(&o, fn, arg), 0);
}

static void
recv_on(void *arg)
{
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

static void
send_on(void *arg)
{
	weft_chan_send(arg, NULL, WEFT_FOREVER);
}

static void
choose(void *arg)
{
	weft_case c[] = {WEFT_RECV(arg, NULL), WEFT_SEND(NULL, NULL), WEFT_RECV(arg, NULL)};

	weft_select(c, 3, WEFT_FOREVER);
}

static void
sleep_long(void *arg)
{
	weft_sleep((int64_t)(intptr_t)arg * 1000000000);
}

static void
lock(void *arg)
{
	weft_mutex_lock(arg);
}

static void
rlock(void *arg)
{
	weft_rwmutex_rlock(arg);
}

static void
wlock(void *arg)
{
	weft_rwmutex_lock(arg);
}

static void
wait_cond(void *arg)
{
	weft_mutex_lock(&cond_mutex);
	weft_cond_wait(arg, &cond_mutex, WEFT_FOREVER);
}

static void
wait_group(void *arg)
{
	weft_waitgroup_wait(arg, WEFT_FOREVER);
}

static void
acquire(void *arg)
{
	weft_sem_acquire(arg, 1, WEFT_FOREVER);
}

static void
read_pipe(void *arg)
{
	char byte;

	weft_read((int)(intptr_t)arg, &byte, 1, WEFT_FOREVER);
}

static void
locked(void *arg)
{
	weft_lock_thread();
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
}

/* Takes ", 3 seconds" out of all states: on a slow machine a wait is soon as old as that. */
static void
forget_ages(char *text)
{
	char *at = text, *end;

	while ((at = strstr(at, ", ")) != NULL) {
		end = at + 2 + strspn(at + 2, "0123456789");
		if (end > at + 2 && strncmp(end, " seconds", 8) == 0)
			memmove(at, end + 8, strlen(end + 8) + 1);
		else
			at += 2;
	}
}

/* Lets the others run until they all wait. */
static void
settle(void)
{
	for (int i = 0; i < 20; i++)
		weft_sleep(1000000);
}

TEST(every_wait_has_its_reason)
{
	int fds[2];
	char *text;
	static const char *const want[][2] = {
	    {"recv", "[chan receive]:\nweft_chan_recv(...)\n"},
	    {"send", "[chan send]:\nweft_chan_send(...)\n"},
	    {"nil", "[chan receive (nil chan)]:\nweft_chan_recv(...)\n"},
	    {"select", "[select]:\nweft_select(...)\n"},
	    {"sleep", "[sleep]:\nweft_sleep(...)\n"},
	    {"mutex", "[sync.Mutex.Lock]:\nweft_mutex_lock(...)\n"},
	    {"rlock", "[sync.RWMutex.RLock]:\nweft_rwmutex_rlock(...)\n"},
	    {"wlock", "[sync.RWMutex.Lock]:\nweft_rwmutex_lock(...)\n"},
	    {"cond", "[sync.Cond.Wait]:\nweft_cond_wait(...)\n"},
	    {"group", "[sync.WaitGroup.Wait]:\nweft_waitgroup_wait(...)\n"},
	    {"sem", "[semacquire]:\nweft_sem_acquire(...)\n"},
	    {"pipe", "[IO wait]:\nweft_read(...)\n"},
	    {"locked", "[chan receive, locked to thread]:\nweft_chan_recv(...)\n"},
	};

	EXPECT_EQ(pipe(fds), 0);
	never = weft_chan_new(0, 0);
	weft_mutex_lock(&held);
	weft_rwmutex_lock(&write_held);
	weft_rwmutex_rlock(&read_held);
	weft_waitgroup_add(&busy, 1);
	start("recv", recv_on, never);
	start("send", send_on, weft_chan_new(0, 0));
	start("nil", recv_on, NULL);
	start("select", choose, never);
	start("sleep", sleep_long, (void *)3600);
	start("mutex", lock, &held);
	start("rlock", rlock, &write_held);
	start("wlock", wlock, &read_held);
	start("cond", wait_cond, &cond);
	start("group", wait_group, &busy);
	start("sem", acquire, &sem);
	start("pipe", read_pipe, (void *)(intptr_t)fds[0]);
	start("locked", locked, never);
	settle();
	text = dump_text();
	forget_ages(text);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		expect_paragraph(text, want[i][0], want[i][1]);
	EXPECT(strncmp(text, "goroutine 1 [running]:\nweft_dump(...)\n", 38) == 0);
	free(text);
}

TEST(long_waits_say_how_long)
{
	char *text, *p;
	int seconds = 0;

	never = weft_chan_new(0, 0);
	start("patient", recv_on, never);
	weft_sleep(1500 * 1000000);
	text = dump_text();
	p = paragraph(text, "patient");
	EXPECT_EQ(sscanf(p, " [chan receive, %d seconds]:", &seconds), 1);
	EXPECT(seconds >= 1);
	free(p);
	free(text);
}

static void
not_yet(void *arg)
{
	(void)arg;
}

static _Atomic bool stop;

static void
compute(void *arg)
{
	volatile unsigned x = 0;

	(void)arg;
	while (!stop)
		x++;
}

static void
sit_in_the_kernel(void *arg)
{
	char byte;

	weft_syscall_enter();
	(void)!read((int)(intptr_t)arg, &byte, 1);
	weft_syscall_exit();
}

TEST(those_that_run_and_those_that_never_ran)
{
	int fds[2], tries = 0;
	char *text = NULL;

	EXPECT_EQ(pipe(fds), 0);
	weft_gomaxprocs(2);
	start("computing", compute, NULL);
	start("reading", sit_in_the_kernel, (void *)(intptr_t)fds[0]);
	settle();
	weft_gomaxprocs(1);
	settle();
	/* Should we lose our P meanwhile, it runs: then another. */
	do {
		free(text);
		start("fresh", not_yet, NULL);
		text = dump_text();
	} while (strstr(text, " [runnable, \"fresh\"]") == NULL && ++tries < 1000);
	expect_paragraph(text, "computing", "[running");
	expect_paragraph(
	    text, "computing", "]:\n\tgoroutine running on other thread; stack unavailable\n");
	expect_paragraph(text, "reading", "[syscall");
	expect_paragraph(
	    text, "reading", "]:\n\tgoroutine running on other thread; stack unavailable\n");
	expect_paragraph(text, "fresh",
	    "[runnable]:\nnot_yet(...)\n\t");
	expect_paragraph(text, "fresh", "\ncreated by start in goroutine 1\n\t/");
	free(text);
	stop = true;
}

/* User code as it is compiled: without a frame pointer, with one, and with a realigned stack. */
#if defined(__GNUC__) && !defined(__clang__)
#define WITHOUT_FP __attribute__((noinline, optimize("omit-frame-pointer", "O2")))
#define WITH_FP __attribute__((noinline, optimize("no-omit-frame-pointer", "O2")))
#else
#define WITHOUT_FP __attribute__((noinline))
#define WITH_FP __attribute__((noinline))
#endif

WITHOUT_FP static int
without_frame_pointer(int n)
{
	volatile char room[40];

	room[0] = (char)n;
	weft_chan_recv(never, NULL, WEFT_FOREVER);
	return room[0];
}

WITH_FP static int
with_frame_pointer(int n)
{
	volatile char room[40];

	room[0] = (char)n;
	return without_frame_pointer(n + 1) + room[0];
}

WITHOUT_FP static int
realigned(int n)
{
	_Alignas(128) volatile char room[256];

	room[0] = (char)n;
	return with_frame_pointer(n + 1) + room[0];
}

WITHOUT_FP static int
of_variable_size(int n)
{
	volatile char *room = __builtin_alloca((size_t)n * 100 + 16);

	room[0] = (char)n;
	return realigned(n + 1) + room[0];
}

static int
compare(const void *a, const void *b)
{
	int r = of_variable_size(1);

	return r + (*(const char *)a > *(const char *)b);
}

/* And libc in between, which calls back. */
__attribute__((noinline)) static void
through_libc(void *arg)
{
	char letters[] = {2, 1};

	(void)arg;
	qsort(letters, 2, 1, compare);
	KEEP_FRAME();
}

TEST(stacks_are_whole_however_they_were_compiled)
{
	char *text, *p;
	static const char *const order[] = {"without_frame_pointer(...)", "with_frame_pointer(...)",
	    "realigned(...)", "of_variable_size(...)", "compare(...)", "qsort", "through_libc(...)",
	    "created by start in goroutine 1"};
	const char *at;

	never = weft_chan_new(0, 0);
	start("mixed", through_libc, NULL);
	settle();
	text = dump_text();
	at = p = paragraph(text, "mixed");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(at, order[i]);
		if (at == NULL)
			FAIL("%s is missing or not in order in:\n%s", order[i], p);
	}
	free(p);
	free(text);
}

TEST(the_address_is_one_that_addr2line_takes)
{
	char *text, *p, *plus, command[1024], line[1024] = "";
	char path[512];
	unsigned long offset;
	FILE *f;

	if (access("/usr/bin/addr2line", X_OK) != 0)
		SKIP("no addr2line here");
	never = weft_chan_new(0, 0);
	start("mixed", through_libc, NULL);
	settle();
	text = dump_text();
	p = strstr(text, "\nthrough_libc(...)\n\t");
	EXPECT(p != NULL);
	p += strlen("\nthrough_libc(...)\n\t");
	plus = strstr(p, " +0x");
	EXPECT(plus != NULL);
	offset = strtoul(plus + 2, NULL, 16);
	EXPECT(strncmp(plus - 6, "/?.c:0", 6) == 0);
	snprintf(path, sizeof(path), "%.*s", (int)(plus - 6 - p), p);
	snprintf(command, sizeof(command), "addr2line -e %s 0x%lx", path, offset);
	f = popen(command, "r");
	EXPECT(f != NULL && fgets(line, sizeof(line), f) != NULL);
	pclose(f);
	EXPECT_CONTAINS(line, "crash_dump.c:");
	free(text);
}

#define BUSY 3000

static weft_waitgroup finished;
static _Atomic long hops;

static void
deep_and_back(int depth)
{
	volatile char room[64];

	room[0] = (char)depth;
	if (depth > 0)
		deep_and_back(depth - 1);
	else
		weft_yield();
	hops++;
	room[1] = room[0];
}

static void
restless(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	while (!stop) {
		n = n * 1103515245 + 12345;
		deep_and_back((int)(n >> 16) % 30);
		if (n % 8 == 0)
			weft_sleep((int64_t)(n >> 20) % 50000);
	}
	weft_waitgroup_done(&finished);
}

static void
short_life(void *arg)
{
	(void)arg;
	deep_and_back(3);
	weft_waitgroup_done(&finished);
}

/* A file of C (or none), a line, an address: what parsers of Go's tracebacks insist on. */
static bool
is_place(const char *line)
{
	const char *colon = strrchr(line, ':');
	int used = 0;

	return colon != NULL && (strncmp(line, "\t??:", 5) == 0 ||
	    (line[1] != ' ' && strncmp(colon - 2, ".c", 2) == 0)) &&
	    sscanf(colon, ":%*u +0x%*x%n", &used) == 0 && used > 0 && colon[used] == '\0';
}

/* Every line of a dump has one of the forms that readers know. */
static void
expect_well_formed(const char *text)
{
	char line[512];

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		unsigned long long id;
		int used = 0;

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		if (line[0] == '\t' && !is_place(line) && strcmp(line,
		    "\tgoroutine running on other thread; stack unavailable") != 0)
			FAIL("a place like no other: %s", line);
		if (n != 0 && line[0] != '\t' && strncmp(line, "created by ", 11) != 0 &&
		    strncmp(line, "...", 3) != 0 &&
		    !(n > 5 && strcmp(line + n - 5, "(...)") == 0)) {
			if (sscanf(line, "goroutine %llu [%n", &id, &used) != 1 || id == 0 ||
			    used == 0 || strchr(line, ']') != line + n - 2 ||
			    strcmp(line + n - 2, "]:") != 0)
				FAIL("a line like no other: %s", line);
		}
		text += n + (text[n] == '\n');
	}
}

/*
 * Thousands run, park, die and are born while they are read. A walk that trusted what it read
 * would fault within the first dump.
 */
TEST(thousands_that_run_are_dumped)
{
	int goroutines = BUSY / test_scale(), rounds = test_scale() > 1 ? 4 : 10, deep = 0;

	weft_gomaxprocs(4);
	weft_waitgroup_add(&finished, goroutines);
	for (int i = 0; i < goroutines; i++)
		weft_go(restless, (void *)(uintptr_t)i);
	/* Until one was met in its depths: in the first dump nobody may have run yet. */
	for (int i = 0; i < rounds || (deep == 0 && i < 200); i++) {
		long before = hops;
		char *text;

		weft_waitgroup_add(&finished, 100);
		for (int k = 0; k < 100; k++)
			weft_go(short_life, NULL);
		text = dump_text();
		expect_well_formed(text);
		EXPECT(occurrences(text, "goroutine ") >= (size_t)goroutines);
		EXPECT_CONTAINS(text, "\nrestless(...)\n");
		deep += strstr(text, "\ndeep_and_back(...)\n") != NULL;
		free(text);
		/* Nobody was stopped. */
		while (hops == before)
			weft_yield();
	}
	EXPECT(deep > 0);
	stop = true;
	EXPECT_EQ(weft_waitgroup_wait(&finished, WEFT_FOREVER), 0);
}

__attribute__((noinline)) static void *
dumper(void *arg)
{
	for (int i = 0; i < 5; i++) {
		char *text = dump_text();

		expect_well_formed(text);
		EXPECT_CONTAINS(text, "\ndumper(...)\n");
		free(text);
	}
	return arg;
}

static void *
bound(void *arg)
{
	weft_chan_recv(arg, NULL, WEFT_FOREVER);
	return NULL;
}

/* Threads that weft did not start ask, and are seen where they wait. */
TEST(foreign_threads_dump_and_are_dumped)
{
	pthread_t threads[4], waiting;
	char *text = NULL;

	never = weft_chan_new(0, 0);
	EXPECT_EQ(pthread_create(&waiting, NULL, bound, never), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, dumper, NULL), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_join(threads[i], NULL), 0);
	do {
		free(text);
		text = dump_text();
		forget_ages(text);
	} while (strstr(text, " [chan receive]:\nweft_chan_recv(...)\n") == NULL);
	EXPECT_CONTAINS(text, "\nbound(...)\n");
	free(text);
	weft_chan_close(never);
	EXPECT_EQ(pthread_join(waiting, NULL), 0);
}

TEST(a_bad_descriptor_is_not_the_end)
{
	weft_dump(-1);
	weft_dump(9999);
}

TEST(version_is_that_of_the_header)
{
	EXPECT_STR(weft_version(), WEFT_VERSION);
}

static void
for_a_while(void *ms)
{
	weft_gomaxprocs(2);
	for (int i = 0; i < 10; i++)
		weft_go(compute, NULL);
	weft_sleep((int64_t)(uintptr_t)ms * 1000000);
	stop = true;
}

static int
count_lines(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* Until it was long enough for so many lines: nobody promises them to be in time. */
static struct child_result
run_for_lines(const char *debug, int n)
{
	const char *const env[] = {debug, NULL};
	struct child_options o = {.env = env};

	for (uintptr_t ms = 100;; ms *= 2) {
		struct child_result r = child_run_with(&o, for_a_while, (void *)ms);

		EXPECT_EQ(r.status, 0);
		if (count_lines(r.err) >= n)
			return r;
		child_result_free(&r);
	}
}

#define NUMBER "[0-9]+"
#define NUMBER_OR_NIL "([0-9]+|nil)"
#define TRUTH "(true|false)"
#define SCHED_LINE                                                                                 \
	"SCHED " NUMBER "ms: gomaxprocs=" NUMBER " idleprocs=" NUMBER " threads=" NUMBER           \
	" spinningthreads=" NUMBER " needspinning=" NUMBER " idlethreads=" NUMBER                  \
	" runqueue=" NUMBER
#define OF_EACH "\\[" NUMBER "( " NUMBER ")*\\]"
/* What Go's readers do not know stands where they have stopped to read. */
#define OWN                                                                                        \
	" detached=" NUMBER " detachblocked=" NUMBER " detachcomputing=" NUMBER                    \
	" handoffs=" NUMBER

/* Which of the forms each line has is counted; one of none is no line of Go's. */
static void
expect_forms(char *text, const char *const *forms, int *ret_count, size_t n)
{
	regex_t compiled[4];

	EXPECT(n <= 4);
	for (size_t i = 0; i < n; i++) {
		EXPECT_EQ(regcomp(&compiled[i], forms[i], REG_EXTENDED | REG_NOSUB), 0);
		ret_count[i] = 0;
	}
	/* The last line may have been cut by the end of the program. */
	for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		size_t i = 0;

		*end = '\0';
		while (i < n && regexec(&compiled[i], text, 0, NULL, 0) != 0)
			i++;
		if (i == n)
			FAIL("not a line of Go's: %s", text);
		ret_count[i]++;
	}
	for (size_t i = 0; i < n; i++)
		regfree(&compiled[i]);
}

/* In the last line that is whole: of two Ps, once main has set that; before, of the machine's. */
static bool
has_ticks(const char *text)
{
	const char *last = NULL;
	int tick0 = 0, tick1 = 0;

	for (const char *at = text; (at = strstr(at, "runqueue=")) != NULL; at++)
		if (strchr(at, '\n') != NULL)
			last = at;
	EXPECT(last != NULL);
	return sscanf(last, "runqueue=%*d [%*d %*d] schedticks=[%d %d] detached=", &tick0,
	    &tick1) == 2 && tick0 + tick1 > 0;
}

/* The lines that scripts for Go's schedtrace read, in its form since 1.25. */
TEST(schedtrace_lines)
{
	static const char *const form[] = {
	    "^" SCHED_LINE " " OF_EACH " schedticks=" OF_EACH OWN "$"};
	struct child_result r;
	int n_lines;

	/* Until the Ps have been seen to take turns: nobody promises that either to be in time. */
	for (int n = 3; r = run_for_lines("WEFT_DEBUG=schedtrace=10", n), !has_ticks(r.err); n *= 2)
		child_result_free(&r);
	expect_forms(r.err, form, &n_lines, 1);
	EXPECT(n_lines >= 3);
	child_result_free(&r);
}

TEST(scheddetail_lines)
{
	static const char *const forms[] = {
	    "^" SCHED_LINE " gcwaiting=false nmidlelocked=" NUMBER " stopwait=0 sysmonwait=false"
	    OWN "$",
	    "^  P" NUMBER ": status=[0-4] schedtick=" NUMBER " syscalltick=" NUMBER
	    " m=" NUMBER_OR_NIL " runqsize=" NUMBER " gfreecnt=" NUMBER " timerslen=" NUMBER "$",
	    "^  M" NUMBER ": p=" NUMBER_OR_NIL " curg=" NUMBER_OR_NIL
	    " mallocing=0 throwing=0 preemptoff= locks=" NUMBER " dying=0 spinning=" TRUTH
	    " blocked=" TRUTH " lockedg=" NUMBER_OR_NIL "( detachedms=" NUMBER ")?$",
	    "^  G" NUMBER ": status=[0-6]\\(.*\\) m=" NUMBER_OR_NIL " lockedm=" NUMBER_OR_NIL "$"};
	struct child_result r = run_for_lines("WEFT_DEBUG=schedtrace=20,scheddetail=1", 6);
	int counts[4];

	EXPECT_CONTAINS(r.err, "\n  G1: status=");
	EXPECT_CONTAINS(r.err, "\n  M0: p=");
	expect_forms(r.err, forms, counts, 4);
	for (int i = 0; i < 4; i++)
		EXPECT(counts[i] > 0);
	child_result_free(&r);
}
