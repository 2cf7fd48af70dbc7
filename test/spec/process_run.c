/*
 * weft_run: a child from start to end, with what it hears and says.
 */
#include "process_util.h"
#include "goroutines.h"

/* SCENARIOS 248. */
TEST(output_is_collected)
{
	weft_output out;

	EXPECT_EQ(weft_run(SH("echo to out; echo to err >&2; exit 3"), NULL, &out, soon()), 0);
	EXPECT_EQ(out.exit.code, 3);
	EXPECT_STR(out.out, "to out\n");
	EXPECT_EQ(out.out_size, 7);
	EXPECT_STR(out.err, "to err\n");
	weft_output_free(&out);
	EXPECT(out.out == NULL);
	EXPECT_EQ(weft_run((const char *const[]){"weft-no-such-program", NULL}, NULL, &out, soon()),
	    -ENOENT);
	EXPECT(out.out == NULL && out.err == NULL);
	weft_output_free(&out);
}

/* More than any pipe holds, in both directions at once: neither side may wait for the other. */
TEST(large_input_and_output_do_not_block_each_other)
{
	size_t n = 3000000 / (size_t)test_scale();
	unsigned char *data = malloc(n);
	weft_spawn_options o = {.size = sizeof(o), .out = WEFT_STDIO_PIPE, .input = data,
	    .input_size = n};
	weft_output out;

	fill_pattern(data, n, 3, 0);
	EXPECT_EQ(weft_run(SH("cat"), &o, &out, weft_in(100 * SEC)), 0);
	EXPECT_EQ(out.exit.code, 0);
	EXPECT_EQ(out.out_size, n);
	expect_pattern((unsigned char *)out.out, n, 3, 0);
	EXPECT(out.err == NULL);
	weft_output_free(&out);
	/* A child need not hear all. */
	EXPECT_EQ(weft_run(SH("head -c 5 >/dev/null; exit 2"), &o, &out, soon()), 0);
	EXPECT_EQ(out.exit.code, 2);
	EXPECT_EQ(out.out_size, 0);
	weft_output_free(&out);
	o.input = "";
	o.input_size = 0;
	EXPECT_EQ(weft_run(SH("wc -c"), &o, &out, soon()), 0);
	EXPECT_EQ(atoi(out.out), 0);
	weft_output_free(&out);
	free(data);
}

/* What it said until the deadline is there, and nothing of its group is left. */
TEST(a_deadline_kills_and_keeps_what_was_said)
{
	weft_spawn_options o = {.size = sizeof(o), .out = WEFT_STDIO_PIPE, .group = true};
	int64_t end = weft_in(300 * MS);
	weft_output out;

	EXPECT_EQ(weft_run(SH("echo early; sleep 1000; echo late"), &o, &out, end), -ETIMEDOUT);
	EXPECT(weft_now() >= end);
	EXPECT_EQ(out.exit.signal, SIGKILL);
	EXPECT(out.out_size == 0 || strcmp(out.out, "early\n") == 0);
	weft_output_free(&out);
	/* Politely. */
	o.kill_signal = SIGTERM;
	o.kill_delay = 100 * SEC;
	EXPECT_EQ(weft_run(SH("trap 'echo bye; exit 8' TERM; echo on; "
			      "while :; do sleep 0.01; done"),
		      &o, &out, weft_in(500 * MS * test_scale())),
	    -ETIMEDOUT);
	if (out.exit.signal != SIGTERM) { /* else it had not come as far as its trap */
		EXPECT_EQ(out.exit.code, 8);
		EXPECT_STR(out.out, "on\nbye\n");
	}
	weft_output_free(&out);
}

static int
run_for_ever(void *arg)
{
	weft_output out;
	int r = weft_run(SH("exec sleep 1000"), arg, &out, WEFT_FOREVER);

	EXPECT(out.exit.signal == SIGKILL || r != -ECANCELED);
	weft_output_free(&out);
	return r;
}

/* SCENARIOS 251. */
TEST(a_cancelled_run_kills)
{
	weft_scope *s = weft_scope_new(NULL, WEFT_FOREVER);

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(weft_scope_go(s, run_for_ever, NULL), 0);
	weft_sleep(300 * MS * test_scale());	/* they have started by then */
	weft_scope_cancel(s, 0);
	EXPECT_EQ(weft_scope_wait(s, soon()), -ECANCELED);
	weft_scope_free(s);
}

/*
 * SCENARIOS 252. A daemon that the child leaves behind holds its output open. Without a limit the
 * caller would wait for the daemon's end.
 */
TEST(a_grandchild_that_keeps_the_output_open_is_not_waited_for)
{
	weft_spawn_options o = {.size = sizeof(o), .out = WEFT_STDIO_PIPE, .wait_delay = 50 * MS};
	weft_output out;
	int daemon;

	EXPECT_EQ(weft_run(SH("sleep 1000 & echo $!"), &o, &out, soon()), -EBUSY);
	EXPECT_EQ(out.exit.code, 0);
	daemon = atoi(out.out);
	EXPECT(daemon > 1);
	EXPECT_EQ(kill(daemon, SIGKILL), 0);
	weft_output_free(&out);
	/* Or until the deadline. */
	o.wait_delay = 0;
	EXPECT_EQ(weft_run(SH("sleep 1000 & echo $!"), &o, &out, weft_in(200 * MS)), -ETIMEDOUT);
	if (out.out_size > 0)
		(void)kill(atoi(out.out), SIGKILL);
	weft_output_free(&out);
	/* One that lets go in time is heard to its end. */
	o.wait_delay = 100 * SEC;
	EXPECT_EQ(weft_run(SH("(sleep 0.05; echo last) & echo first"), &o, &out, soon()), 0);
	EXPECT_STR(out.out, "first\nlast\n");
	weft_output_free(&out);
}

/* SCENARIOS 250. Nothing is left open, however it ended. */
TEST(runs_leave_nothing_open)
{
	weft_spawn_options o = {.size = sizeof(o), .out = WEFT_STDIO_PIPE, .input = "x",
	    .input_size = 1};
	int before = open_fds(), goroutines = weft_numgoroutine();
	weft_output out;

	for (int i = 0; i < 100 / test_scale(); i++) {
		int r = weft_run(SH("cat"), &o, &out, weft_in(i % 3 == 0 ? i * MS / 10 : 60 * SEC));

		EXPECT(r == 0 || (r == -ETIMEDOUT && i % 3 == 0));
		weft_output_free(&out);
	}
	expect_open(before);
	expect_goroutines(goroutines);
}
