/*
 * weft_debug_serve(): what it refuses, and that a program with an endpoint is like any other: it
 * still learns that all its goroutines are asleep, and answers while none of them runs.
 */
#include <weft.h>

#include "child.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A place for the socket of a process. */
static const char *
place_of(pid_t pid)
{
	static char address[64];

	snprintf(address, sizeof(address), "unix:/tmp/weft-test-%d", (int)pid);
	return address;
}

static const char *
place(void)
{
	return place_of(getpid());
}

/* What is answered there to a request, whole: up to the first zero. */
static char *
ask(const char *request)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char *said = calloc(1, 1 << 16);
	size_t n = 0;
	ssize_t r;

	EXPECT(fd >= 0 && said != NULL);
	strcpy(to.sun_path, place() + 5);
	EXPECT_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	EXPECT_EQ(write(fd, request, strlen(request)), strlen(request));
	shutdown(fd, SHUT_WR);		/* it ends what would go on for as long as we are there */
	while ((r = read(fd, said + n, (1 << 16) - 1 - n)) > 0)
		n += (size_t)r;
	close(fd);
	return said;
}

TEST(addresses_of_the_network_are_refused)
{
	EXPECT_EQ(weft_debug_serve(NULL), -EINVAL);
	EXPECT_EQ(weft_debug_serve(""), -EINVAL);
	EXPECT_EQ(weft_debug_serve("nonsense"), -EINVAL);
	EXPECT_EQ(weft_debug_serve("0.0.0.0:0"), -EACCES);
	EXPECT_EQ(weft_debug_serve(":0"), -EACCES);
	EXPECT_EQ(weft_debug_serve("[::]:0"), -EACCES);
	EXPECT_EQ(weft_debug_serve("unix:@nobody-keeps-others-out"), -EACCES);
	EXPECT_EQ(weft_debug_serve("unix:/nonesuch/socket"), -ENOENT);
}

/* What is not a stale socket is somebody's. */
TEST(a_file_at_its_address_is_left_alone)
{
	const char *path = place() + 5;
	FILE *f = fopen(path, "w");
	int r;

	EXPECT(f != NULL);
	fclose(f);
	r = weft_debug_serve(place());
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(r, -EADDRINUSE);
}

TEST(one_endpoint_is_all)
{
	EXPECT_EQ(weft_debug_serve(place()), 0);
	EXPECT_EQ(weft_debug_serve(place()), -EALREADY);
	unlink(place() + 5);
}

/* The only processor is ours while we ask, in calls that weft does not know. */
TEST(it_answers_while_nothing_else_runs)
{
	char *said;

	weft_gomaxprocs(1);
	EXPECT_EQ(weft_debug_serve(place()), 0);
	said = ask("GET /debug/weft HTTP/1.1\r\nHost: localhost\r\n\r\n");
	EXPECT_CONTAINS(said, "HTTP/1.1 200 OK\r\n");
	EXPECT_CONTAINS(said, "\"function\":\"main\",\"state\":\"running\"");
	free(said);
	unlink(place() + 5);
}

/* More at a time than it has threads for: some are told to come later, nobody is forgotten. */
TEST(a_crowd_is_told_to_come_later)
{
	static const char rest[] = "Host: localhost\r\n\r\n";
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd[40], answered = 0, refused = 0;

	EXPECT_EQ(weft_debug_serve(place()), 0);
	strcpy(to.sun_path, place() + 5);
	for (int i = 0; i < 40; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		EXPECT_EQ(connect(fd[i], (struct sockaddr *)&to, sizeof(to)), 0);
		(void)send(fd[i], "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL);
	}
	for (int i = 0; i < 40; i++) {
		char said[64] = "";

		(void)send(fd[i], rest, sizeof(rest) - 1, MSG_NOSIGNAL);
		(void)recv(fd[i], said, sizeof(said) - 1, MSG_WAITALL);
		answered += strncmp(said, "HTTP/1.1 200", 12) == 0;
		refused += strncmp(said, "HTTP/1.1 503", 12) == 0;
		close(fd[i]);
	}
	EXPECT(answered > 0 && refused > 0);
	unlink(place() + 5);
}

/* One trace at a time; but the flight recorder, which is always on where it is on, is none. */
TEST(a_trace_is_taken_beside_the_flight_recorder)
{
	static const char request[] =
	    "GET /debug/pprof/trace?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n";
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char *said;

	EXPECT_EQ(weft_debug_serve(place()), 0);
	EXPECT_EQ(weft_trace_flight_start(0, 0), 0);
	said = ask(request);
	EXPECT_CONTAINS(said, "HTTP/1.1 200 OK\r\n");
	EXPECT_CONTAINS(said, "\r\n\r\ngo 1.22 trace");
	free(said);
	/* It has ended when the answer has. */
	EXPECT_EQ(weft_trace_start(null), 0);
	said = ask(request);
	EXPECT_CONTAINS(said, "HTTP/1.1 409 ");
	EXPECT_CONTAINS(said, "a trace is being taken already");
	free(said);
	EXPECT_EQ(weft_trace_stop(), 0);
	EXPECT_EQ(weft_trace_flight_stop(), 0);
	close(null);
	unlink(place() + 5);
}

static void
wait_for_nothing(void *arg)
{
	(void)arg;
	if (weft_debug_serve(place()) != 0)
		_exit(9);
	unlink(place() + 5);
	weft_chan_recv(weft_chan_new(0, 0), NULL, WEFT_FOREVER);
}

TEST(a_deadlock_is_still_found)
{
	struct child_result r = child_run(wait_for_nothing, NULL);

	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	child_result_free(&r);
}

/* Its main goroutine waits for ever as soon as there is a file "....go". */
static void
wait_when_told(void *arg)
{
	char go[80];

	(void)arg;
	snprintf(go, sizeof(go), "%s.go", place() + 5);
	if (weft_debug_serve(place()) != 0)
		_exit(9);
	puts("ready");
	fflush(stdout);
	while (access(go, F_OK) != 0)
		usleep(1000);
	weft_chan_recv(weft_chan_new(0, 0), NULL, WEFT_FOREVER);
}

/* Who looks for minutes on end keeps nobody from hearing that there is nothing more to see. */
static void
ask_and_let_it_die(const char *request)
{
	static const struct child_options patient = {.limit_ms = 120000};
	struct child *c = child_start(&patient, wait_when_told, NULL);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char said[13] = "", go[128];
	struct child_result r;
	FILE *f;

	child_await(c, "ready");
	strcpy(to.sun_path, place_of(child_pid(c)) + 5);
	snprintf(go, sizeof(go), "%s.go", to.sun_path);
	EXPECT_EQ(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	EXPECT_EQ(write(fd, request, strlen(request)), strlen(request));
	EXPECT_EQ(recv(fd, said, 12, MSG_WAITALL), 12);
	EXPECT_STR(said, "HTTP/1.1 200");
	f = fopen(go, "w");
	EXPECT(f != NULL);
	fclose(f);
	r = child_wait(c);
	unlink(go);
	unlink(to.sun_path);
	close(fd);
	EXPECT_EQ(r.status, 2);
	EXPECT_CONTAINS(r.err, "all goroutines are asleep - deadlock!");
	child_result_free(&r);
}

TEST(a_deadlock_is_found_while_a_profile_is_taken)
{
	ask_and_let_it_die(
	    "GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

TEST(a_deadlock_is_found_while_a_trace_is_taken)
{
	ask_and_let_it_die(
	    "GET /debug/pprof/trace?seconds=600 HTTP/1.1\r\nHost: localhost\r\n\r\n");
}
