/*
 * A C++ program that uses weft: the headers are clean, exceptions work inside a goroutine, and
 * several may be on their way in different goroutines at once.
 */
#include <weft.h>

#include "test.h"

#include <atomic>
#include <stdexcept>
#include <string>
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
		/* Parking between two exceptions, not inside a catch block (weft(7), LIMITS). */
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
