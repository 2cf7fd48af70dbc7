/*
 * Parts of a program for ThreadSanitizer (races.c): what goroutines hand each other, by each kind
 * of object. Each part ends when its goroutines have.
 */
#ifndef WEFT_TEST_SANITIZE_RACES_H
#define WEFT_TEST_SANITIZE_RACES_H

#include <weft.h>

#define ROUNDS 40
#define WORKERS 8

struct big {
	long part[5];
};

extern long shared;		/* ordered by what the test at hand is about */
extern weft_waitgroup group;

/* Is the race of that name to be there? */
int is(const char *name);
/* Ends the program if it does not hold. */
void check(int holds, const char *what);
/* Each of the workers runs fn, and all have ended when it returns. */
void crew(void (*fn)(void *), void *arg);

/* ---- races_chan.c ---- */
void channels(void);
/* ---- races_sync.c ---- */
void locks(void);
/* ---- races_planted.c: those that need a program of their own ---- */
void races(void);

#endif /* WEFT_TEST_SANITIZE_RACES_H */
