/*
 * Strings of JSON.
 */
#ifndef WEFT_JSON_H
#define WEFT_JSON_H

#include <stddef.h>
#include <stdio.h>

/* n bytes in quotes. What is not UTF-8 becomes U+FFFD, byte by byte. */
void json_string(FILE *out, const char *text, size_t n);

#endif /* WEFT_JSON_H */
