/*
 * What OpenSSL says of a failure: a number for programs, a text for people.
 *
 * Its queue of errors is a thread's. Whoever looks at it must do so on the thread, and so before
 * the next weft call; and must leave it empty, or the next goroutine on this thread finds it.
 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

void
wf_tls_say(char *why, size_t why_size, const char *what, int err)
{
	if (why_size > 0)
		snprintf(why, why_size, "%s%s%s", what, err != 0 ? ": " : "",
		    err != 0 ? strerror(-err) : "");
}

static int
number_of(unsigned long e)
{
	if (ERR_GET_LIB(e) == ERR_LIB_SSL) {
		switch (ERR_GET_REASON(e)) {
		case SSL_R_CERTIFICATE_VERIFY_FAILED:
		case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
			return -EKEYREJECTED;
		}
	}
	return ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;
}

int
wf_tls_take_error(SSL *ssl, char *why, size_t why_size)
{
	/* The first is what happened, those after it where it was noticed. */
	unsigned long e = ERR_get_error();
	int number = e != 0 ? number_of(e) : -EPROTO;
	const char *text = e != 0 ? ERR_reason_error_string(e) : NULL;
	long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;

	if (text == NULL)
		text = "OpenSSL gives no reason";
	if (why_size > 0 && number == -EKEYREJECTED && verdict != X509_V_OK)
		snprintf(why, why_size, "%s: %s", text, X509_verify_cert_error_string(verdict));
	else
		wf_tls_say(why, why_size, text, 0);
	ERR_clear_error();
	return number;
}
