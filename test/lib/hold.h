/*
 * Stops a thread of the runtime between two steps of a protocol, at a WF_POINT("name") of src/, so
 * that a test can do what must not go wrong just then. Debug builds only: in others the test is
 * skipped.
 *
 *   hold_at("mutex.gave_up");               the next thread that comes there will stop
 *   ...start what comes there...
 *   hold_await("mutex.gave_up");            it stands there now
 *   ...do what races with it...
 *   hold_release("mutex.gave_up");
 *
 * The thread that stops keeps what it has (its P, internal locks), and stands still with it: what
 * the test does meanwhile must be able to go on without these.
 */
#ifndef WEFT_TEST_LIB_HOLD_H
#define WEFT_TEST_LIB_HOLD_H

#ifdef __cplusplus
extern "C" {
#endif

/* Skips the test where there are no points: for one whose child is to stop at some. */
void hold_needed(void);

/* The next thread that reaches the point stops there; those after it pass. */
void hold_at(const char *point);

/* Waits until a thread stands at the point. Fails the test when none comes in 25 s. */
void hold_await(const char *point);

/* Lets the thread go on, or, when none has come yet, does not stop one any more. */
void hold_release(const char *point);

/*
 * Waits until a thread sleeps in wf_moment(): one that waits for who stands at a point does not
 * keep the CPU from it for ever, whatever the priorities of the two. For where one does so wait.
 */
void hold_await_nap(void);

/* The kernel's number of the thread that stands at the point; 0: nobody does. */
int hold_tid(const char *point);

/* How often a thread has reached the point since hold_at() for it. */
long hold_count(const char *point);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_TEST_LIB_HOLD_H */
