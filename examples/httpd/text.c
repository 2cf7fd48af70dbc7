/*
 * Two ways to write things that more than one file needs: a byte in a link, a size.
 */
#include "httpd.h"

#include <stdio.h>
#include <string.h>

size_t
percent_encode(char to[3], char c, const char *plain)
{
	unsigned char u = (unsigned char)c;

	if ((u >= '0' && u <= '9') || ((u | 0x20) >= 'a' && (u | 0x20) <= 'z') ||
	    (u && strchr(plain, u))) {
		to[0] = c;
		return 1;
	}
	to[0] = '%';
	to[1] = "0123456789ABCDEF"[u >> 4];
	to[2] = "0123456789ABCDEF"[u & 15];
	return 3;
}

void
format_size(char to[SIZE_TEXT], uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 999.5 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		u++;
	}
	snprintf(to, SIZE_TEXT, u > 0 && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
}
