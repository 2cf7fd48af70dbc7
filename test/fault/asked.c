/*
 * What a program is asked for from outside - a trace, a flight recorder, an endpoint to look into
 * it - in a process of its own each time, while each call of the system fails once. If one of these
 * fails, who looks for a fault ends the program, or nobody hears that there is nothing to see.
 *
 * ctest: timeout=300
 */
#define _GNU_SOURCE
#include <weft.h>

#include "children.h"
#include "insist.h"
#include "threads.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- WEFT_TRACE, WEFT_FLIGHT ---- */

/* The trace's file is made at the start, the recorder's when the signal comes. */
static void
traced(void *arg)
{
	int64_t until = soon();
	int made;

	inject_in_child(arg);
	threads();
	EXPECT_EQ(kill(getpid(), SIGUSR2), 0);
	while ((made = inject_made("create")) >= 0 && made < 2 && weft_now() < until)
		(void)weft_sleep(1000000);
	EXPECT(made < 0 || made == 2);
	child_is_done();
}

TEST(a_traced_program_runs_after_any_failure)
{
	char dir[] = "/tmp/weft_asked_XXXXXX", trace[64], flight[64], command[64];
	const char *const env[] = {trace, flight, NULL};
	struct child_faults f = {.fn = traced, .env = env, .functions = "create dup has_ticks"};

	EXPECT(mkdtemp(dir) != NULL);
	snprintf(trace, sizeof(trace), "WEFT_TRACE=%s/%%p.trace", dir);
	snprintf(flight, sizeof(flight), "WEFT_FLIGHT=%s/%%p.flight", dir);
	EXPECT(refuse_in_children(&f) >= 5);
	/* Not by the children: the recorder's file may come after they have looked. */
	snprintf(command, sizeof(command), "rm -r %s", dir);
	EXPECT_EQ(system(command), 0);
}

/* ---- The endpoint ---- */

static char path[64];

/* One request; true if it was answered. At worst this connection is lost, or it is told to wait. */
static bool
ask(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char said[4096] = "";
	size_t n = 0;
	ssize_t r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	EXPECT(fd >= 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path + 5);
	EXPECT_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0) {
		(void)shutdown(fd, SHUT_WR);
		while ((r = read(fd, said + n, sizeof(said) - 1 - n)) > 0)
			n += (size_t)r;
	}
	EXPECT_EQ(close(fd), 0);
	return strncmp(said, "HTTP/1.1 200 ", 13) == 0 && strstr(said, "/metrics ") != NULL;
}

static void
serve(void *arg)
{
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "unix:/tmp/weft_asked_%d", getpid());
	inject_in_child(arg);
	INSIST(r, weft_debug_serve(path), r == 0);
	EXPECT_EQ(stat(path + 5, &st), 0);
	EXPECT_EQ(st.st_mode & 0777, 0600);
	for (int answered = 0, lost = 0; answered < 2;) {
		if (ask())
			answered++;
		else if (++lost > 1)	/* one call fails, and one connection with it */
			FAIL("two of the connections are lost");
	}
	child_is_done();
	EXPECT_EQ(unlink(path + 5), 0);
}

TEST(the_endpoint_answers_after_any_failure)
{
	struct child_faults f = {.fn = serve, .functions = "fchmod socket bind listen accept recv "
	    "poll_wait thread_start malloc"};

	EXPECT(refuse_in_children(&f) >= 10);
}

/* With a token made of /dev/urandom: rather no endpoint than one that anybody can guess. */
static void
serve_with_token(void *arg)
{
	int r;

	inject_in_child(arg);
	r = weft_debug_serve("127.0.0.1:0");
	if (r != 0) {
		EXPECT(is_injected(r) || r == -EIO);
		EXPECT_EQ(weft_debug_serve("127.0.0.1:0"), 0);
	}
	EXPECT_EQ(weft_debug_serve("127.0.0.1:0"), -EALREADY);
	child_is_done();
}

TEST(an_endpoint_without_a_token_is_none)
{
	struct child_faults f = {.fn = serve_with_token,
	    .functions = "open read socket setsockopt_int bind listen thread_start"};

	EXPECT(refuse_in_children(&f) >= 7);
}
