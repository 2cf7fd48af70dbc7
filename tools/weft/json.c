/*
 * Strings of JSON. See json.h.
 */
#include "json.h"

/* How many bytes of s, which has n, are one character of UTF-8 (RFC 3629), 0 if it is none. */
static size_t
utf8_length(const unsigned char *s, size_t n)
{
	/* Lowest second bytes that make no overlong form, highest that stay below U+110000 and
	 * out of the surrogates. */
	unsigned char lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	unsigned char hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (len == 0 || s[0] > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (s[i] < (i == 1 ? lo : 0x80) || s[i] > (i == 1 ? hi : 0xbf))
			return 0;
	}
	return len;
}

void
json_string(FILE *out, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + n;

	(void)putc('"', out);
	while (s < end) {
		size_t len = utf8_length(s, (size_t)(end - s));

		if (len == 0)
			(void)fputs("\\ufffd", out);
		else if (*s == '"' || *s == '\\')
			(void)fprintf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			(void)fprintf(out, "\\u%04x", (unsigned)*s);
		else
			(void)fwrite(s, 1, len, out);
		s += len == 0 ? 1 : len;
	}
	(void)putc('"', out);
}
