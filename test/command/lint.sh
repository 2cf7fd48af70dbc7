#!/usr/bin/env bash
# weft run --lint finds a lock of libc's that is held over a wait, whether the program has the
# archive or the shared library, and says nothing of one that is not. If it fails, a program that
# stands still now and then for no reason that anybody sees goes on doing so. And it tells once of
# small stacks that are none, which nothing but a program's memory shows.
set -eu
weft=$WEFT_BUILD/bin/weft
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset WEFT_DEBUG LD_PRELOAD
failed=0
if [ -n "$WEFT_SANITIZE" ]; then
	exit 0	# such programs can't be loaded into; what is shown here does not depend on it
fi

cat >program.c <<'C'
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>
#include <weft.h>

static pthread_mutex_t over_wait = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t over_yield = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t well = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static void
wait_with_lock(void)
{
	pthread_mutex_lock(&over_wait);
	weft_sleep(1000000);
	pthread_mutex_unlock(&over_wait);
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static mtx_t mtx;

__attribute__((noinline)) static void
wait_as_reader(void)
{
	pthread_rwlock_rdlock(&rw);
	weft_sleep(1000000);
	pthread_rwlock_unlock(&rw);
}

/* A new one each time: one that is unlocked by another thread is broken. */
__attribute__((noinline)) static void
wait_as_writer(void)
{
	static pthread_rwlock_t of[3];
	static int n;

	pthread_rwlock_init(&of[n], NULL);
	pthread_rwlock_wrlock(&of[n]);
	weft_sleep(1000000);
	pthread_rwlock_unlock(&of[n++]);
}

__attribute__((noinline)) static void
wait_with_mtx(void)
{
	mtx_lock(&mtx);
	weft_sleep(1000000);
	mtx_unlock(&mtx);
}

static void
wrong(void *arg)
{
	for (volatile int i = 0; i < 3; i++) {
		wait_with_lock();
		wait_as_reader();
		wait_as_writer();
		wait_with_mtx();
	}
	(void)arg;
}

/* Reads what others read: who unlocks has it no more, and nobody else has. */
static void
reads(void *arg)
{
	static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;

	for (int i = 0; i < 20; i++) {
		while (pthread_rwlock_tryrdlock(&shared) != 0)
			weft_yield();
		weft_yield();		/* another one has it meanwhile, too */
		pthread_rwlock_unlock(&shared);
		weft_sleep(100000);
	}
	(void)arg;
}

/* Whoever runs on its thread meanwhile holds nothing. */
static void
yields(void *arg)
{
	for (int i = 0; i < 20; i++) {
		while (pthread_mutex_trylock(&over_yield) != 0)
			weft_yield();
		weft_yield();
		pthread_mutex_unlock(&over_yield);
		weft_sleep(100000);
	}
	(void)arg;
}

static void
right(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pthread_mutex_lock(&well);
		pthread_mutex_unlock(&well);
		weft_sleep(100000);
	}
	(void)arg;
}

/* A child has none of the other threads, whatever they were about when it began. */
static void *
locks(void *arg)
{
	pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;

	while (!*(_Atomic int *)arg) {
		pthread_mutex_lock(&mine);
		pthread_mutex_unlock(&mine);
	}
	return NULL;
}

static int
forks(void)
{
	static _Atomic int is_done;
	pthread_t thread;
	int status = 0;

	if (pthread_create(&thread, NULL, locks, &is_done) != 0)
		return 1;
	for (int i = 0; i < 200 && status == 0; i++) {
		pid_t child = fork();

		if (child == 0) {
			alarm(60);
			pthread_mutex_lock(&well);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
	}
	is_done = 1;
	pthread_join(thread, NULL);
	return status == 0 ? 7 : 1;
}

int
main(int argc, char **argv)
{
	weft_waitgroup all = { 0 };

	if (mtx_init(&mtx, mtx_plain) != thrd_success)
		return 1;
	if (argc > 1 && strcmp(argv[1], "forks") == 0)
		return forks();
	if (argc > 1)
		weft_waitgroup_go(&all, wrong, NULL);
	weft_waitgroup_go(&all, yields, NULL);
	weft_waitgroup_go(&all, reads, NULL);
	weft_waitgroup_go(&all, reads, NULL);
	weft_waitgroup_go(&all, right, NULL);
	weft_waitgroup_go(&all, right, NULL);
	weft_waitgroup_wait(&all, WEFT_FOREVER);
	return 7;
}
C
build="$CC -g -O1 -fno-omit-frame-pointer -I$WEFT_SRC/include program.c"
$build -o archive "$WEFT_BUILD/libweft.a" -pthread
$build -o shared -L"$WEFT_BUILD" -lweft -pthread -Wl,-rpath,"$WEFT_BUILD"

check() # HOW MANY PROGRAM...: ends as ever, and so many locks are reported on standard error
{	# (On a machine that stands still now and then others are, too, for the time that took.)
	local want=$1 status=0
	shift
	"$@" 2>err || status=$?
	if [ "$status" -eq 7 ] &&
	    [ "$(grep -c '^weft: lint: .* while it holds the ' err)" -eq "$want" ]; then
		return
	fi
	echo "$*: status $status, not 7, or not $want reports: $(cat err)"
	failed=1
}
for program in ./archive ./shared; do
	check 4 "$weft" run --procs 2 --lint -- $program wrong
	[ "$(grep -c ' holds the pthread rwlock 0x' err)" -eq 2 ] ||
	    { echo "$program: not two rwlocks: $(cat err)"; failed=1; }
	for text in 'holds the mtx_t 0x' '^wait_as_reader(...)' '^wait_as_writer(...)' \
	    '^wait_with_mtx(...)' 'waits (sleep) while it holds the pthread mutex 0x' \
	    '^\[.*weft_mutex' \
	    '^goroutine [0-9]* \[sleep\]:' '^weft_sleep(...)' '^wait_with_lock(...)' \
	    '^wrong(...)'; do
		grep -q "$text" err || { echo "$program: no '$text': $(cat err)"; failed=1; }
	done
	check 0 "$weft" run --procs 2 --lint -- $program
	check 0 $program wrong
	check 0 "$weft" run --lint -- $program forks
done

cat >small.c <<'C'
#include <weft.h>

static void
waits(void *arg)
{
	weft_sleep(1000);
	(void)arg;
}

static void
ends(void *arg)
{
	(void)arg;
}

/* Goroutines that wait with an argument, else ones that end at once; with two, of large stacks. */
int
main(int argc, char **argv)
{
	weft_go_options o = { .size = sizeof(o), .stack_size = argc > 2 ? 0 : WEFT_STACK_SMALL };

	for (int i = 0; i < 5; i++)
		if (weft_go_with(&o, argc > 1 ? waits : ends, NULL) != 0)
			return 1;
	while (weft_numgoroutine() > 1)
		weft_sleep(100000);
	(void)argv;
	return 7;
}
C
small()	# HOW MANY PROGRAM...: so many reports of small stacks, and it ends as ever
{
	local want=$1 status=0
	shift
	"$@" 2>err || status=$?
	if [ "$status" -eq 7 ] &&
	    [ "$(grep -c ' asked for WEFT_STACK_SMALL' err)" -eq "$want" ]; then
		return
	fi
	echo "$*: status $status, not 7, or not $want reports: $(cat err)"
	failed=1
}
for binding in lazy now; do
	${build% *} small.c -o $binding "$WEFT_BUILD/libweft.a" -pthread -Wl,-z,$binding
done
for how in '' wait; do
	small 1 env -u LD_BIND_NOW "$weft" run --lint -- ./lazy $how
	for text in '^\[link it with -Wl,-z,now' "^${how:-end}s(...)" '^created by main '; do
		grep -q "$text" err || { echo "no '$text': $(cat err)"; failed=1; }
	done
	small 0 "$weft" run --lint -- ./now $how
	small 0 env LD_BIND_NOW=1 "$weft" run --lint -- ./lazy $how
	small 0 ./lazy $how
done
small 0 env -u LD_BIND_NOW "$weft" run --lint -- ./lazy wait large
exit $failed
