/*
 * A C++ program that uses weft: the headers are clean, exceptions work inside a goroutine, and
 * several may be on their way in different goroutines at once.
 */
#include <weft.h>

#include "test.h"

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

static std::atomic<int> caught;

static int
thrower(int depth)
{
	if (depth == 0)
		throw std::runtime_error("from the deep");
	return thrower(depth - 1) + 1;
}

static void
throw_and_catch(void *arg)
{
	weft_chan *gate = static_cast<weft_chan *>(arg);

	for (int i = 0; i < 50; i++) {
		std::string what;

		try {
			(void)thrower(i % 10);
		} catch (const std::exception &e) {
			what = e.what();
		}
		weft_yield();
		if (what == "from the deep")
			caught++;
	}
	(void)weft_chan_send(gate, nullptr, WEFT_FOREVER);
}

TEST(exceptions_stay_in_their_goroutine)
{
	weft_chan *gate = weft_chan_new(0, 0);

	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(throw_and_catch, gate), 0);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_chan_recv(gate, nullptr, WEFT_FOREVER), 1);
	EXPECT_EQ(caught.load(), 20 * 50);
	weft_chan_unref(gate);
}

/*
 * Between try and throw a goroutine may park, move to another thread, and throw there; so may what
 * it has on its stack be destroyed there.
 */
struct counted {
	counted() { alive++; }
	~counted() { alive--; }
	static std::atomic<int> alive;
};
std::atomic<int> counted::alive;

static void
park_then_throw(int depth)
{
	counted here;

	weft_sleep(10000 * (depth % 3));
	weft_yield();
	if (depth == 0)
		throw std::runtime_error("after a park");
	park_then_throw(depth - 1);
}

static void
throw_after_parks(void *arg)
{
	for (int i = 0; i < 20; i++) {
		bool was_caught = false;

		try {
			park_then_throw(i % 5);
		} catch (const std::runtime_error &e) {
			was_caught = std::string(e.what()) == "after a park";
		}
		weft_yield();
		caught += was_caught;
	}
	weft_waitgroup_done(static_cast<weft_waitgroup *>(arg));
}

TEST(a_goroutine_may_park_between_try_and_throw)
{
	weft_waitgroup all = {};

	weft_gomaxprocs(4);
	caught = 0;
	weft_waitgroup_add(&all, 20);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(throw_after_parks, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(caught.load(), 20 * 20);
	EXPECT_EQ(counted::alive.load(), 0);
}

TEST(macros_work_in_cpp)
{
	weft_chan *c = weft_chan_new(sizeof(int), 1);
	int in = 7, out = 0;
	weft_case cases[] = { WEFT_SEND(c, &in), WEFT_RECV(c, &out) };

	EXPECT_EQ(weft_select(cases, 2, WEFT_NOW), 0);
	EXPECT_EQ(weft_select(cases, 2, WEFT_NOW), 1);
	EXPECT_EQ(out, 7);
	weft_event happened = {};
	weft_case wait[] = { WEFT_WAIT(&happened), WEFT_WAIT(nullptr) };
	EXPECT_EQ(weft_select(wait, 2, WEFT_NOW), -ETIMEDOUT);
	weft_event_set(&happened);
	EXPECT_EQ(weft_select(wait, 2, WEFT_NOW), 0);
	weft_chan_unref(c);
}

struct big {
	std::vector<int> numbers;
};

static void
use_vector(void *arg)
{
	big *b = static_cast<big *>(arg);

	for (int i = 0; i < 1000; i++) {
		b->numbers.push_back(i);
		if (i % 100 == 0)
			weft_yield();
	}
	caught = static_cast<int>(b->numbers.size());
}

TEST(containers_live_across_yields)
{
	big b;

	caught = 0;
	EXPECT_EQ(weft_go(use_vector, &b), 0);
	while (caught.load() == 0)
		weft_yield();
	EXPECT_EQ(caught.load(), 1000);
}

/* Parks in every way: a switch, a timer, and a P that is lost in the kernel and had again. */
static void
park(int how)
{
	if (how % 3 == 0)
		weft_yield();
	else if (how % 3 == 1)
		(void)weft_sleep(20000);
	else
		(void)usleep(2000);
	(void)weft_goid();
}

/* What the C++ library says is being caught here: -1 nothing. */
static int
what_is_caught()
{
	try {
		if (std::current_exception() != nullptr)
			throw;
	} catch (int i) {
		return i;
	}
	return -1;
}

/* Exceptions of `depth` catch blocks, one inside the other, each with parks. */
static void
catch_and_park(int id, int depth)
{
	EXPECT_EQ(std::uncaught_exceptions(), 0);
	try {
		throw id + depth;
	} catch (int i) {
		park(id + depth);
		EXPECT_EQ(i, id + depth);
		EXPECT_EQ(what_is_caught(), id + depth);
		if (depth > 0)
			catch_and_park(id, depth - 1);
		EXPECT_EQ(what_is_caught(), id + depth);
		EXPECT_EQ(std::uncaught_exceptions(), 0);
	}
}

static void
catch_and_park_often(void *arg)
{
	int id = 1000 * ++caught;

	for (int i = 0; i < 10; i++)
		catch_and_park(id + 10 * i, i % 4);
	EXPECT_EQ(what_is_caught(), -1);
	weft_waitgroup_done(static_cast<weft_waitgroup *>(arg));
}

static void
run_twenty(void (*fn)(void *))
{
	weft_waitgroup all = {};

	caught = 0;
	weft_waitgroup_add(&all, 20);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(weft_go(fn, &all), 0);
	EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	EXPECT_EQ(what_is_caught(), -1);
	EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(a_goroutine_may_park_in_a_catch_block)
{
	for (int procs = 1; procs <= 4; procs *= 4) {
		weft_gomaxprocs(procs);
		run_twenty(catch_and_park_often);
	}
	/* The first goroutine, too, while others throw. */
	try {
		throw 1;
	} catch (int i) {
		weft_waitgroup all = {};

		caught = 0;
		weft_waitgroup_add(&all, 1);
		EXPECT_EQ(weft_go(catch_and_park_often, &all), 0);
		EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
		EXPECT_EQ(what_is_caught(), 1);
	}
}

/* A destructor that an exception runs; inside it an exception of its own comes and goes. */
struct parks {
	explicit parks(int in_which_way) : how(in_which_way) {}
	~parks()
	{
		int n = std::uncaught_exceptions();

		park(how);
		EXPECT_EQ(n, 1);
		EXPECT_EQ(std::uncaught_exceptions(), n);
		try {
			throw -how;
		} catch (int i) {
			park(how + 1);
			EXPECT_EQ(i, -how);
		}
		EXPECT_EQ(std::uncaught_exceptions(), n);
	}
	int how;
};

static void
unwind_and_park(void *arg)
{
	int id = 1000 * ++caught;

	for (int i = 0; i < 10; i++) {
		try {
			parks outer(id + i), inner(id + i + 1);

			park(i);
			throw id + i;
		} catch (int e) {
			EXPECT_EQ(e, id + i);
		}
	}
	weft_waitgroup_done(static_cast<weft_waitgroup *>(arg));
}

TEST(a_destructor_may_park_while_an_exception_is_on_its_way)
{
	for (int procs = 1; procs <= 4; procs *= 4) {
		weft_gomaxprocs(procs);
		run_twenty(unwind_and_park);
	}
}

static void
leave_a_catch_block(void *arg)
{
	try {
		throw 1;
	} catch (int) {
		caught++;
		if (arg != nullptr)
			weft_goexit();
		weft_panic("out of a catch block");
	}
}

static void
leave_by_panic(void *arg)
{
	(void)arg;
	EXPECT_EQ(weft_try(leave_a_catch_block, nullptr, nullptr, 0), 1);
}

static void
find_nothing(void *arg)
{
	EXPECT_EQ(what_is_caught(), -1);
	EXPECT_EQ(std::uncaught_exceptions(), 0);
	weft_waitgroup_done(static_cast<weft_waitgroup *>(arg));
}

/* What a goroutine leaves behind that ended amid a catch block is not the next one's. */
TEST(a_goroutine_begins_with_no_exception)
{
	weft_waitgroup all = {};

	weft_gomaxprocs(1);
	for (int i = 0; i < 20; i++) {
		weft_waitgroup_add(&all, 2);
		EXPECT_EQ(weft_go(leave_by_panic, nullptr), 0);
		EXPECT_EQ(weft_go(find_nothing, &all), 0);
		EXPECT_EQ(weft_go(leave_a_catch_block, &all), 0);
		EXPECT_EQ(weft_go(find_nothing, &all), 0);
		EXPECT_EQ(weft_waitgroup_wait(&all, WEFT_FOREVER), 0);
	}
}
