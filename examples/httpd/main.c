/*
 * weft-httpd: options, start, signals, end.
 */
#include "httpd.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char help[] =
	"Usage: weft-httpd [OPTION]... [DIR]\n"
	"\n"
	"Serves the files below DIR (default: docs) over HTTP/1.1, one goroutine for each\n"
	"connection.\n"
	"\n"
	"  weft-httpd                          serve ./docs on 127.0.0.1, on a free port\n"
	"  weft-httpd -p 8080 ~/public         serve ~/public on port 8080\n"
	"  weft-httpd --tls cert.pem key.pem   serve ./docs over HTTPS\n"
	"  weft-httpd -b :: -p 80 --log /srv   serve /srv to all the world, with a log\n"
	"\n"
	"  -b, --bind=ADDRESS          address to listen on (127.0.0.1)\n"
	"  -p, --port=PORT             port to listen on (0: a free one)\n"
	"  -r, --root=DIR              the directory to serve; the same as DIR\n"
	"  -l, --log[=FILE]            write an access log to FILE (standard output)\n"
	"      --tls=CERT KEY          serve HTTPS: certificate with its chain, key (PEM)\n"
	"  -q, --quiet                 no status line, no messages but errors\n"
	"      --max-conns=N           connections at once; more are answered 503 (20000)\n"
	"      --max-requests=N        requests on one connection (100000)\n"
	"      --idle-timeout=SEC      wait so long for the next request (60)\n"
	"      --request-timeout=SEC   for a whole request, from its first byte on (10)\n"
	"      --write-timeout=SEC     for a client to take 256 KiB of an answer (60)\n"
	"      --stop-timeout=SEC      to finish what is being served when stopped (30)\n"
	"  -h, --help                  show this and exit\n"
	"  -V, --version               show the version and exit\n"
	"\n"
	"Prints \"weft-httpd: serving DIR on http://ADDRESS:PORT/\" when it is ready.\n"
	"SIGTERM and SIGINT stop it when the requests it has accepted are answered; a\n"
	"second one stops it at once. Names that begin with a dot are not served.\n"
	"\n"
	"Exit status: 0 stopped and nothing lost, 1 it failed, 2 wrong usage.\n";

enum {
	OPT_TLS = 256,
	OPT_MAX_CONNS,
	OPT_MAX_REQUESTS,
	OPT_IDLE,
	OPT_REQUEST,
	OPT_WRITE,
	OPT_STOP,
};

static const struct option long_options[] = {
	{ "bind", required_argument, NULL, 'b' },
	{ "port", required_argument, NULL, 'p' },
	{ "root", required_argument, NULL, 'r' },
	{ "log", optional_argument, NULL, 'l' },
	{ "tls", required_argument, NULL, OPT_TLS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "max-conns", required_argument, NULL, OPT_MAX_CONNS },
	{ "max-requests", required_argument, NULL, OPT_MAX_REQUESTS },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE },
	{ "request-timeout", required_argument, NULL, OPT_REQUEST },
	{ "write-timeout", required_argument, NULL, OPT_WRITE },
	{ "stop-timeout", required_argument, NULL, OPT_STOP },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static WEFT_NORETURN void
usage_error(const char *what, const char *arg)
{
	say("%s%s", what, arg);
	fputs("Try 'weft-httpd --help'.\n", stderr);
	exit(2);
}

static int
parse_int(const char *s, int min, int max, const char *what)
{
	char *end;
	long v = strtol(s, &end, 10);

	if (end == s || *end || v < min || v > max)
		usage_error(what, s);
	return (int)v;
}

static int64_t
parse_seconds(const char *s)
{
	char *end;
	double v = strtod(s, &end);

	/* A thousand days is for ever; more might not fit. */
	if (end == s || *end || !(v >= 0.001 && v <= 86400000.0))
		usage_error("not a time in seconds: ", s);
	return (int64_t)(v * (double)SECOND);
}

static void
set_option(struct options *o, int opt, char **argv)
{
	switch (opt) {
	case 'b':
		o->bind = optarg;
		break;
	case 'p':
		parse_int(optarg, 0, 65535, "not a port (0 to 65535): ");
		o->port = optarg;
		break;
	case 'r':
		o->root = optarg;
		break;
	case 'l':
		o->log = optarg ? optarg : "-";
		break;
	case 'q':
		o->quiet = true;
		break;
	case OPT_TLS:
		/* The key is the argument after the certificate. */
		if (!argv[optind])
			usage_error("--tls needs a certificate and a key: ", optarg);
		o->cert = optarg;
		o->key = argv[optind++];
		break;
	case OPT_MAX_CONNS:
		o->max_conns = parse_int(optarg, 1, INT32_MAX, "not a number of connections: ");
		break;
	case OPT_MAX_REQUESTS:
		o->max_requests = parse_int(optarg, 1, INT32_MAX, "not a number of requests: ");
		break;
	case OPT_IDLE:
		o->idle_ns = parse_seconds(optarg);
		break;
	case OPT_REQUEST:
		o->request_ns = parse_seconds(optarg);
		break;
	case OPT_WRITE:
		o->write_ns = parse_seconds(optarg);
		break;
	case OPT_STOP:
		o->stop_ns = parse_seconds(optarg);
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	case 'V':
		printf("weft-httpd %s\n", weft_version());
		exit(0);
	case ':':
		usage_error("an argument is missing after ", argv[optind - 1]);
	default:
		usage_error("unknown or ambiguous option ", argv[optind - 1]);
	}
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	bool has_root;
	int opt;

	while ((opt = getopt_long(argc, argv, ":b:p:r:l::qhV", long_options, NULL)) != -1)
		set_option(o, opt, argv);
	has_root = o->root;
	if (optind < argc) {
		if (has_root || argc - optind > 1)
			usage_error("one directory only, please: ", argv[argc - 1]);
		o->root = argv[optind];
	} else if (!has_root) {
		o->root = "docs";
	}
}

/* The one line on standard output that programs wait for. */
static void
announce(const struct server *s)
{
	bool bare_v6 = strchr(s->opt.bind, ':') && s->opt.bind[0] != '[';

	printf("weft-httpd: serving %s on %s://%s%s%s:%u/\n", s->opt.root,
	    s->tls ? "https" : "http", bare_v6 ? "[" : "", s->opt.bind, bare_v6 ? "]" : "",
	    s->port);
	fflush(stdout);
}

/* Waits for a signal; returns its number. */
static int
next_signal(int fd)
{
	struct signalfd_siginfo info;

	while (weft_read(fd, &info, sizeof(info), WEFT_FOREVER) != sizeof(info))
		weft_sleep(SECOND);	/* cannot happen; if it does, slowly */
	return (int)info.ssi_signo;
}

/* The second signal: whoever sends it means it. A goroutine's function. */
static void
exit_on_signal(void *arg)
{
	int sig = next_signal((int)(intptr_t)arg);

	_exit(128 + sig);
}

static int
stop(struct server *s, int signal_fd, int sig)
{
	int lost;

	if (weft_go(exit_on_signal, (void *)(intptr_t)signal_fd) < 0)
		say("a second signal will not be heard");
	if (!s->opt.quiet)
		say("%s, stopping: %d connections open", sig == SIGINT ? "SIGINT" : "SIGTERM",
		    atomic_load(&s->nconns));
	lost = server_stop(s);
	if (lost > 0) {
		say("cut off %d connections that did not end in time", lost);
		return 1;
	}
	if (!s->opt.quiet)
		say("stopped after %llu requests", (unsigned long long)atomic_load(&s->nrequests));
	return 0;
}

int
main(int argc, char **argv)
{
	static struct server server = {
		.opt = {
			.bind = "127.0.0.1",
			.port = "0",
			.max_conns = 20000,
			.max_requests = 100000,
			.idle_ns = 60 * SECOND,
			.request_ns = 10 * SECOND,
			.write_ns = 60 * SECOND,
			.stop_ns = 30 * SECOND,
		},
	};
	struct server *s = &server;
	int signal_fd, r;

	parse_options(&s->opt, argc, argv);
	sys_raise_nofile();
	/* Before weft starts threads of its own: they inherit what we block here. */
	signal_fd = sys_signalfd();
	if (signal_fd < 0) {
		say("signalfd: %s", strerror(-signal_fd));
		return 1;
	}
	r = server_start(s);
	if (r)
		return r;
	announce(s);
	if (!s->opt.quiet && (isatty(2) || isatty(1)) && weft_go(status_run, s) < 0)
		say("no memory for the status line");
	return stop(s, signal_fd, next_signal(signal_fd));
}
