/*
 * The same cases on Boost.Fiber, one thread with its default scheduler (round robin) and
 * default stacks.
 */
#include <boost/fiber/all.hpp>

#include "lib/harness.h"

#include <mutex>
#include <vector>

namespace {

namespace fibers = boost::fibers;

void
per_item(int64_t start, long n)
{
	bench_value(nullptr, "ns", static_cast<double>(bench_now() - start) / static_cast<double>(n));
}

void
yields(long n)
{
	long rounds = bench_n(5000000) / n;
	std::vector<fibers::fiber> all;

	for (long i = 0; i < n; i++) {
		all.emplace_back([rounds] {
			for (long k = 0; k < rounds; k++)
				boost::this_fiber::yield();
		});
	}
	int64_t start = bench_now();
	for (auto &f : all)
		f.join();
	per_item(start, rounds * n);
}

void
join_one(long n)
{
	n = bench_n(n);
	int64_t start = bench_now();

	for (long i = 0; i < n; i++)
		fibers::fiber([] {}).join();
	per_item(start, n);
}

void
pingpong(long n)
{
	fibers::unbuffered_channel<long> there, back;

	n = bench_n(n);
	fibers::fiber echo([&] {
		long v;

		while (there.pop(v) == fibers::channel_op_status::success)
			back.push(v);
	});
	int64_t start = bench_now();
	for (long i = 0; i < n; i++) {
		long got = -1;

		there.push(i);
		back.pop(got);
		BENCH_CHECK(got == i);
	}
	per_item(start, n);
	there.close();
	echo.join();
}

/* k senders, k receivers. */
void
buffered(long k)
{
	long n = bench_n(8000000), each = n / k, sum = 0, count = 0;
	fibers::buffered_channel<long> chan(128);
	std::vector<fibers::fiber> senders, receivers;
	int64_t start = bench_now();

	for (long i = 0; i < k; i++) {
		receivers.emplace_back([&] {
			long v;

			while (chan.pop(v) == fibers::channel_op_status::success) {
				sum += v;
				count++;
			}
		});
		senders.emplace_back([&] {
			for (long v = 1; v <= each; v++)
				chan.push(v);
		});
	}
	for (auto &f : senders)
		f.join();
	chan.close();
	for (auto &f : receivers)
		f.join();
	per_item(start, n);
	BENCH_CHECK(count == each * k && sum == k * (each * (each + 1) / 2));
}

/* One at a time on one thread: nobody else wants it. */
void
uncontended(long n)
{
	fibers::mutex mutex;
	volatile long counter = 0;

	n = bench_n(n);
	int64_t start = bench_now();
	for (long i = 0; i < n; i++) {
		std::lock_guard<fibers::mutex> hold(mutex);
		counter = counter + 1;
	}
	per_item(start, n);
	BENCH_CHECK(counter == n);
}

const char by[] = "boost-fiber";

const struct bench_case cases[] = {
    {"yield_1p", by, yields, 2, 1, 0, 0},
    {"yield_1000_1p", by, yields, 1000, 1, 0, 0},
    {"spawn_join_1p", by, join_one, 300000, 1, 0, 0},
    {"pingpong_1p", by, pingpong, 2000000, 1, 0, 0},
    {"buffered_1to1_1p", by, buffered, 1, 1, 0, 0},
    {"buffered_4to4_1p", by, buffered, 4, 1, 0, 0},
    {"mutex_uncontended_1p", by, uncontended, 16000000, 1, 0, 0},
};

} // namespace

int
main(int argc, char **argv)
{
	return bench_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
