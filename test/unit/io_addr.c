/*
 * Parsing of addresses, and what of them needs no name server.
 */
#include "io/addr.h"

#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

TEST(hosts_and_ports_are_told_apart)
{
	static const struct {
		const char *network, *address, *host, *service;
		int family, type, port;
	} good[] = {
	    {"tcp", "127.0.0.1:80", "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM, 80},
	    {"tcp4", "example.org:http", "example.org", "http", AF_INET, SOCK_STREAM, -1},
	    {"tcp6", "[::1]:0", "::1", "0", AF_INET6, SOCK_STREAM, 0},
	    {"udp", "[fe80::1%eth0]:53", "fe80::1%eth0", "53", AF_UNSPEC, SOCK_DGRAM, 53},
	    {"udp4", ":65535", "", "65535", AF_INET, SOCK_DGRAM, 65535},
	    {"udp6", ":", "", "0", AF_INET6, SOCK_DGRAM, 0},
	    {"tcp", "[name]:00080", "name", "00080", AF_UNSPEC, SOCK_STREAM, 80},
	};
	struct addr_spec s;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		EXPECT_EQ(wf_addr_parse(good[i].network, good[i].address, &s), 0);
		EXPECT_STR(s.host, good[i].host);
		EXPECT_STR(s.service, good[i].service);
		EXPECT_EQ(s.family, good[i].family);
		EXPECT_EQ(s.type, good[i].type);
		EXPECT_EQ(s.port, good[i].port);
	}
}

/* Lengths at the edge: one character too many is refused, not cut. */
TEST(what_is_too_long_is_refused)
{
	struct addr_spec s;
	char text[600];

	memset(text, 'h', sizeof(text));
	strcpy(text + ADDR_HOST_MAX - 1, ":1");
	EXPECT_EQ(wf_addr_parse("tcp", text, &s), 0);
	EXPECT_EQ(strlen(s.host), ADDR_HOST_MAX - 1);
	memset(text, 'h', sizeof(text));
	strcpy(text + ADDR_HOST_MAX, ":1");
	EXPECT_EQ(wf_addr_parse("tcp", text, &s), -EINVAL);
	memset(text, 's', sizeof(text));
	text[0] = ':';
	text[ADDR_SERVICE_MAX] = '\0';
	EXPECT_EQ(wf_addr_parse("tcp", text, &s), 0);
	text[ADDR_SERVICE_MAX] = 's';
	text[ADDR_SERVICE_MAX + 1] = '\0';
	EXPECT_EQ(wf_addr_parse("tcp", text, &s), -EINVAL);
	memset(text, 'p', sizeof(text));
	text[107] = '\0';
	EXPECT_EQ(wf_addr_parse("unix", text, &s), 0);
	text[107] = 'p';
	text[108] = '\0';
	EXPECT_EQ(wf_addr_parse("unix", text, &s), -EINVAL);
}

TEST(numbers_and_paths_need_nobody_to_be_asked)
{
	static const struct {
		const char *network, *address;
		int passive, dialled; /* how many addresses */
		const char *first;
	} a[] = {
	    {"tcp", "127.0.0.1:80", 1, 1, "127.0.0.1"},
	    {"tcp", "[::1]:80", 1, 1, "::1"},
	    {"tcp4", "127.0.0.1:80", 1, 1, "127.0.0.1"},
	    {"tcp6", "127.0.0.1:80", 0, 0, NULL},
	    {"tcp4", "[::1]:80", 0, 0, NULL},
	    {"tcp", ":80", 2, 2, "::"},
	    {"tcp4", ":80", 1, 1, "0.0.0.0"},
	    {"tcp6", ":80", 1, 1, "::"},
	    {"tcp", ":http", 0, 0, NULL},
	    {"tcp", "localhost:80", 0, 0, NULL},
	    {"tcp", "[fe80::1%lo]:80", 0, 0, NULL},
	};
	struct addr_spec s;
	struct addr out[2];
	char text[64];

	for (size_t i = 0; i < sizeof(a) / sizeof(*a); i++) {
		EXPECT_EQ(wf_addr_parse(a[i].network, a[i].address, &s), 0);
		EXPECT_EQ(wf_addr_local(&s, false, out), a[i].dialled);
		EXPECT_EQ(wf_addr_local(&s, true, out), a[i].passive);
		if (a[i].first == NULL)
			continue;
		if (out[0].ss.ss_family == AF_INET) {
			const struct sockaddr_in *in = (const void *)&out[0].ss;

			EXPECT(inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)) != NULL);
			EXPECT_EQ(ntohs(in->sin_port), 80);
		} else {
			const struct sockaddr_in6 *in6 = (const void *)&out[0].ss;

			EXPECT(inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)) != NULL);
			EXPECT_EQ(ntohs(in6->sin6_port), 80);
		}
		EXPECT_STR(text, a[i].first);
	}
}

TEST(unix_addresses_have_their_exact_length)
{
	const struct sockaddr_un *un;
	struct addr_spec s;
	struct addr out[2];

	EXPECT_EQ(wf_addr_parse("unix", "/run/x", &s), 0);
	EXPECT_EQ(wf_addr_local(&s, false, out), 1);
	un = (const void *)&out[0].ss;
	EXPECT_STR(un->sun_path, "/run/x");
	EXPECT_EQ(out[0].len, offsetof(struct sockaddr_un, sun_path) + 7);
	EXPECT_EQ(wf_addr_parse("unix", "@x", &s), 0);
	EXPECT_EQ(wf_addr_local(&s, false, out), 1);
	EXPECT_EQ(memcmp(un->sun_path, "\0x", 2), 0);
	EXPECT_EQ(out[0].len, offsetof(struct sockaddr_un, sun_path) + 2);
}

/* Whatever is given, it ends, and what it accepts it can name: 100,000 random strings. */
TEST(random_text_is_parsed_or_refused)
{
	static const char alphabet[] = "0123456789abcdef:.[]%@/-_ \t\n\x80zZ";
	uint64_t state = test_seed();
	int accepted = 0;

	for (int i = 0; i < 100000; i++) {
		size_t len = test_rand(&state) % 20;
		struct addr_spec s;
		struct addr out[2];
		char text[32];

		for (size_t k = 0; k < len; k++)
			text[k] = alphabet[test_rand(&state) % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		if (wf_addr_parse(i % 2 == 0 ? "tcp" : "udp6", text, &s) != 0)
			continue;
		accepted++;
		EXPECT(strlen(s.host) < ADDR_HOST_MAX && strlen(s.service) < ADDR_SERVICE_MAX);
		EXPECT(s.port >= -1 && s.port <= 65535);
		EXPECT(wf_addr_local(&s, i % 3 == 0, out) <= 2);
	}
	EXPECT(accepted > 100);
}
