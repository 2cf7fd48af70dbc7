/*
 * Marked calls (src/sched/README.md, "Marked calls"): the monitor takes the P at the second look at
 * which the same call is marked, and the thread gets it back, or another, when the call is over.
 * Claims: never do two have the P; a P is not taken from a call that the monitor has not seen before;
 * whoever comes out of a call gets a P in the end.
 *
 * Wrong variants: NO_TICK (a new call looks like the one seen before), NO_VERDICT (the thread that
 * comes back does not look at hold).
 */
mtype = { NONE, DETACHING, DETACHED };

mtype hold = NONE;
bit in_runtime;
bit in_syscall;
byte tick;
bool m_has_p = true;
byte owners, n_idle;
byte age;			/* looks of the monitor since this call began */

#ifdef NO_TICK
#define SEEN_BEFORE (in_syscall == 1 && seen == 1)
#else
#define SEEN_BEFORE (in_syscall == 1 && seen == 1 && tick == seen_tick)
#endif

inline use()
{
	owners++;
	assert(owners == 1);
	owners--
}

active proctype machine()
{
	byte turn;

	for (turn : 1 .. 2) {
		/* weft_syscall_enter: marks, and leaves. */
		in_runtime = 1;
		do
		:: hold == DETACHING -> in_runtime = 0; hold != DETACHING; in_runtime = 1
		:: hold == DETACHED -> hold = NONE; n_idle > 0; n_idle--; m_has_p = true
		:: hold == NONE -> break
		od;
		use();
		d_step { tick++; in_syscall = 1; age = 0 };
		in_runtime = 0;
		/* The call. weft_syscall_exit: */
		in_syscall = 0;
		in_runtime = 1;
#ifndef NO_VERDICT
		do
		:: hold == DETACHING -> in_runtime = 0; hold != DETACHING; in_runtime = 1
		:: hold == DETACHED -> hold = NONE; n_idle > 0; n_idle--; m_has_p = true
		:: hold == NONE -> break
		od;
#endif
		use();
		in_runtime = 0
	}
}

active proctype monitor()
{
	byte turn, seen_tick;
	bit seen;

	for (turn : 1 .. 4) {
		if
		:: atomic { SEEN_BEFORE -> assert(age > 0) };	/* not a call that began since */
			if
			:: atomic { hold == NONE && m_has_p -> hold = DETACHING };
				if
				:: in_runtime == 1 -> hold = NONE
				:: in_runtime == 0 ->
					m_has_p = false;
					hold = DETACHED;
					use();
					n_idle++
				fi
			:: else
			fi
		:: else
		fi;
		d_step { seen = in_syscall; seen_tick = tick; age++ }
	}
}
