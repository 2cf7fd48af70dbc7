/*
 * Whom a connection trusts, what it agrees on, and what it says when it does not.
 */
#include "tls_util.h"

/* A pair that must fail: what each side gets. */
static void
expect_refused(weft_tls_context *client, const char *host, const char *server_name,
    const char *reason)
{
	weft_tls_context *server = server_with(server_name);
	weft_tls *end[2];
	int of_server;
	char byte;

	tls_ends(client, host, server, end);
	EXPECT_EQ(shake_hands(end, &of_server), -EKEYREJECTED);
	EXPECT_WHY(end[0], reason);
	/* It stays so; and not one byte gets through. */
	EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), -EKEYREJECTED);
	EXPECT_EQ(weft_tls_read(end[0], &byte, 1, soon()), -EKEYREJECTED);
	/* The server has heard why, not just a connection that breaks. */
	EXPECT_EQ(of_server, -EPROTO);
	EXPECT_WHY(end[1], "alert");
	close_both(end);
	weft_tls_context_free(server);
}

/*
 * Whoever gets between a client and its server has a certificate of some kind. If any of these
 * were accepted, he could read and change everything.
 */
TEST(impostors_are_refused)
{
	weft_tls_context *client = client_that_trusts(), *system = NULL;

	expect_refused(client, "localhost", "other", "ostname mismatch");
	expect_refused(client, "127.0.0.2", "good", "IP address mismatch");
	expect_refused(client, "example.org", "wild", "ostname mismatch");
	expect_refused(client, "a.b.example.org", "wild", "ostname mismatch");
	expect_refused(client, "localhost", "expired", "certificate has expired");
	expect_refused(client, "localhost", "self", "self-signed certificate");
	/* With no authority named it is those of the system, and ours is none of them. */
	EXPECT_EQ(weft_tls_context_new(NULL, NULL, 0, &system), 0);
	expect_refused(system, "localhost", "good", "unable to get local issuer");
	weft_tls_context_free(system);
	weft_tls_context_free(client);
	drop_certificates();
}

/* Names, numbers, dots and asterisks: a client that is right must get through. */
TEST(those_who_are_who_they_say_are_accepted)
{
	static const char *const good[] = {"localhost", "LocalHost", "localhost.", "127.0.0.1",
	    "::1"};
	weft_tls_context *client = client_that_trusts();
	weft_tls_context *server = server_with("good"), *rsa = server_with("good-rsa"),
			 *wild = server_with("wild");
	weft_tls *end[2];
	int of_server;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		tls_ends(client, good[i], i % 2 ? rsa : server, end);
		EXPECT_EQ(shake_hands(end, &of_server), 0);
		EXPECT_EQ(of_server, 0);
		EXPECT_STR(weft_tls_version(end[0]), "TLSv1.3");
		/* A number is no name to ask for (RFC 6066 3). */
		EXPECT_STR(weft_tls_server_name(end[1]),
		    i < 2 ? good[i] : i == 2 ? "localhost" : "");
		close_both(end);
	}
	tls_ends(client, "www.example.org", wild, end);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	weft_tls_context_free(rsa);
	weft_tls_context_free(wild);
	drop_certificates();
}

/* A client that forgot the name would accept everybody's certificate; it must be told. */
TEST(verification_is_not_forgotten_but_turned_off)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("self");
	weft_tls_context *trusting = context_of(
	    (weft_tls_options){.verify = WEFT_TLS_VERIFY_NONE});
	weft_tls *end[2] = {NULL, NULL};
	int fd[2], of_server;

	tcp_pair(fd);
	EXPECT_EQ(weft_tls_client(client, fd[0], NULL, &end[0]), -EINVAL);
	EXPECT_EQ(weft_tls_client(client, fd[0], "", &end[0]), -EINVAL);
	EXPECT_EQ(weft_tls_server(client, fd[0], &end[0]), -EINVAL);
	EXPECT(end[0] == NULL);
	/* The descriptor is still ours. */
	EXPECT_EQ(weft_tls_client(trusting, fd[0], NULL, &end[0]), 0);
	EXPECT_EQ(weft_tls_server(server, fd[1], &end[1]), 0);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(trusting);
	weft_tls_context_free(server);
	drop_certificates();
}

/* A server for some only must not let in those who show nothing, or something of their own. */
TEST(a_server_may_demand_certificates_of_its_clients)
{
	weft_tls_options o = {.ca_file = in_dir("ca.pem"), .cert_file = in_dir("good.pem"),
	    .key_file = in_dir("good.key"), .verify = WEFT_TLS_VERIFY_PEER};
	weft_tls_context *server = context_of(o), *anonymous = client_that_trusts(), *known, *self;
	weft_tls *end[2];
	int of_server;
	char byte;

	o = (weft_tls_options){.ca_file = in_dir("ca.pem"), .cert_file = in_dir("client.pem"),
	    .key_file = in_dir("client.key")};
	known = context_of(o);
	o.cert_file = in_dir("self.pem");
	o.key_file = in_dir("self.key");
	self = context_of(o);

	tls_pair(known, server, end);
	EXPECT(SSL_get0_peer_certificate(weft_tls_native(end[1])) != NULL);
	EXPECT_EQ(weft_tls_write(end[0], "x", 1, soon()), 1);
	EXPECT_EQ(weft_tls_read(end[1], &byte, 1, soon()), 1);
	close_both(end);

	for (int i = 0; i < 2; i++) {
		tls_ends(i == 0 ? anonymous : self, "localhost", server, end);
		EXPECT_EQ(shake_hands(end, &of_server), 0);
		EXPECT_EQ(of_server, -EKEYREJECTED);
		/* In TLS 1.3 the client is done before the server has looked. */
		EXPECT_EQ(weft_tls_read(end[0], &byte, 1, soon()), -EPROTO);
		EXPECT_WHY(end[0], "alert");
		close_both(end);
	}
	weft_tls_context_free(server);
	weft_tls_context_free(anonymous);
	weft_tls_context_free(known);
	weft_tls_context_free(self);
	drop_certificates();
}

/* ALPN: both ends must come to the same protocol, and not begin with different ones. */
TEST(protocols_are_agreed_on_or_the_connection_is_refused)
{
	static const char *const both[] = {"h2", "http/1.1", NULL};
	static const char *const old[] = {"http/1.1", NULL}, *const other[] = {"imap", NULL};
	weft_tls_options o = {.ca_file = in_dir("ca.pem"), .cert_file = in_dir("good.pem"),
	    .key_file = in_dir("good.key"), .alpn = both};
	weft_tls_context *server = context_of(o);
	const char *const *const offers[] = {both, old, other, NULL};
	static const char *const agreed[] = {"h2", "http/1.1", NULL, ""};

	for (int i = 0; i < 4; i++) {
		weft_tls_context *client;
		weft_tls *end[2];
		int of_server, r;

		o = (weft_tls_options){.ca_file = in_dir("ca.pem"), .alpn = offers[i]};
		client = context_of(o);
		tls_ends(client, "localhost", server, end);
		r = shake_hands(end, &of_server);
		if (agreed[i] == NULL) {
			EXPECT_EQ(r, -EPROTO);
			EXPECT_WHY(end[0], "no application protocol");
			EXPECT_EQ(of_server, -EPROTO);
		} else {
			EXPECT_EQ(r, 0);
			EXPECT_STR(weft_tls_alpn(end[0]), agreed[i]);
			EXPECT_STR(weft_tls_alpn(end[1]), agreed[i]);
		}
		close_both(end);
		weft_tls_context_free(client);
	}
	weft_tls_context_free(server);
	drop_certificates();
}

/* One listener for several names: each client must see the certificate of the one it wants. */
TEST(each_host_is_shown_with_its_own_certificate)
{
	static const char *const names[] = {"localhost", "other.example", "www.example.org"};
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_tls_context *other = server_with("other"), *wild = server_with("wild");

	EXPECT_EQ(weft_tls_context_add_host(server, "*.example.org", wild), 0);
	EXPECT_EQ(weft_tls_context_add_host(server, "Other.Example", other), 0);
	EXPECT_EQ(weft_tls_context_add_host(server, "", other), -EINVAL);
	EXPECT_EQ(weft_tls_context_add_host(server, "*", other), -EINVAL);
	EXPECT_EQ(weft_tls_context_add_host(server, "a.*.org", other), -EINVAL);
	EXPECT_EQ(weft_tls_context_add_host(server, "localhost", server), -EINVAL);
	weft_tls_context_free(other);
	weft_tls_context_free(wild);
	for (int i = 0; i < 3; i++) {
		weft_tls *end[2];
		int of_server;

		tls_ends(client, names[i], server, end);
		EXPECT_EQ(shake_hands(end, &of_server), 0);
		EXPECT_STR(weft_tls_server_name(end[1]), names[i]);
		close_both(end);
	}
	weft_tls_context_free(server);
	weft_tls_context_free(client);
	drop_certificates();
}

static void
expect_no_context(weft_tls_options o, int result, const char *reason)
{
	weft_tls_context *c = NULL;
	char why[256];

	o.size = sizeof(o);
	EXPECT_EQ(weft_tls_context_new(&o, why, sizeof(why), &c), result);
	EXPECT(c == NULL);
	EXPECT_CONTAINS(why, reason);
	EXPECT_EQ(ERR_peek_error(), 0);
}

/* A server that does not start should say which file is wrong, and how. */
TEST(what_cannot_be_read_is_named)
{
	const char *good = in_dir("good.pem"), *key = in_dir("good.key");
	weft_tls_options o;

	o = (weft_tls_options){.cert_file = "/no/such/file"};
	expect_no_context(o, -ENOENT, "/no/such/file: No such file");
	expect_no_context((weft_tls_options){.ca_file = "/no/such/ca"}, -ENOENT, "/no/such/ca");
	o = (weft_tls_options){.cert_file = good, .key_file = in_dir("mixed.key")};
	expect_no_context(o, -EINVAL, "key values mismatch");
	/* Nobody is asked for the password on the terminal. */
	o = (weft_tls_options){.cert_file = good, .key_file = in_dir("locked.key")};
	expect_no_context(o, -EINVAL, "locked.key");
	o = (weft_tls_options){.cert_file = key, .key_file = key};
	expect_no_context(o, -EINVAL, "good.key: no start line");
	expect_no_context((weft_tls_options){.key_file = key}, -EINVAL, "option");
	expect_no_context((weft_tls_options){.verify = 17}, -EINVAL, "option");
	expect_no_context((weft_tls_options){.min_version = 3}, -EINVAL, "option");
	drop_certificates();
}

/* Certificates last a few months, servers longer: a new one is taken without a restart. */
TEST(certificates_are_replaced_while_connections_go_on)
{
	weft_tls_context *client = client_that_trusts(), *server;
	weft_tls_options o = {.cert_file = in_dir("now.pem"), .key_file = in_dir("now.key")};
	weft_tls *before[2], *end[2];
	int of_server;
	char why[256], byte;

	EXPECT_EQ(rename(in_dir("good.pem"), in_dir("now.pem")), 0);
	EXPECT_EQ(rename(in_dir("good.key"), in_dir("now.key")), 0);
	server = context_of(o);
	tls_pair(client, server, before);

	/* Half of the change: the old one stays. */
	EXPECT_EQ(rename(in_dir("wild.pem"), in_dir("now.pem")), 0);
	EXPECT_EQ(weft_tls_context_reload(server, why, sizeof(why)), -EINVAL);
	EXPECT_CONTAINS(why, "key values mismatch");
	tls_pair(client, server, end);
	close_both(end);

	EXPECT_EQ(rename(in_dir("wild.key"), in_dir("now.key")), 0);
	EXPECT_EQ(weft_tls_context_reload(server, why, sizeof(why)), 0);
	tls_ends(client, "new.example.org", server, end);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	close_both(end);

	EXPECT_EQ(weft_tls_write(before[0], "x", 1, soon()), 1);
	EXPECT_EQ(weft_tls_read(before[1], &byte, 1, soon()), 1);
	close_both(before);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	drop_certificates();
}

/* What is old enough to be broken is not spoken; 1.2 is, unless it is forbidden. */
TEST(versions_are_within_bounds)
{
	weft_tls_context *client = client_that_trusts(), *server = server_with("good");
	weft_tls_options o = {.cert_file = in_dir("good.pem"), .key_file = in_dir("good.key"),
	    .min_version = WEFT_TLS_1_3};
	weft_tls_context *modern = context_of(o);
	weft_tls *end[2];
	int of_server;

	tls_ends(client, "localhost", server, end);
	SSL_set_max_proto_version(weft_tls_native(end[0]), TLS1_2_VERSION);
	EXPECT_EQ(shake_hands(end, &of_server), 0);
	EXPECT_STR(weft_tls_version(end[1]), "TLSv1.2");
	close_both(end);

	tls_ends(client, "localhost", modern, end);
	SSL_set_max_proto_version(weft_tls_native(end[0]), TLS1_2_VERSION);
	EXPECT_EQ(shake_hands(end, &of_server), -EPROTO);
	EXPECT_EQ(of_server, -EPROTO);
	EXPECT_WHY(end[1], "unsupported protocol");
	EXPECT_STR(weft_tls_version(end[1]), "");
	close_both(end);
	weft_tls_context_free(client);
	weft_tls_context_free(server);
	weft_tls_context_free(modern);
	drop_certificates();
}
