/*
 * Marked calls (src/sched/README.md, "Detach"): the monitor takes the P at the second look at which
 * the same call is marked, or at the first if the thread sleeps in it, and the thread gets it back,
 * or another, when the call is over. Claims: never do two have the P; a P is not taken from a call
 * that the monitor has not seen before, unless it saw the thread sleep; whoever comes out of a call
 * gets a P in the end. Or the thread gives its P away itself before it leaves (D7).
 *
 * machine is weft_syscall_enter() and _exit() of syscall.c, with wf_enter() of self.h and
 * wf_enter_slow() of enter.c; monitor is retake() of monitor.c, look_asleep() its
 * is_asleep_as_marked(), what follows wf_detach() of detach.c, where wf_give_up_p() is, too.
 *
 * Wrong variants: NO_TICK (a new call looks like the one seen before), NO_VERDICT (the thread that
 * comes back does not look at hold), NO_SLEEP (one look is enough for any call), NO_D5 (what was
 * seen asleep is taken without another look whether it is inside by now), NO_D7 (the thread gives
 * its P away whatever the monitor is deciding).
 */
mtype = { NONE, DETACHING, DETACHED };

mtype hold = NONE;
bit in_runtime;
bit in_syscall;
byte tick;
bool m_has_p = true;
byte owners, n_idle;
bit sleeps;			/* as the kernel has it */
bool has_slept;			/* ever */
byte age;			/* looks of the monitor since this call began */

#ifdef NO_TICK
#define SEEN_BEFORE (in_syscall == 1 && seen == 1)
#else
#define SEEN_BEFORE (in_syscall == 1 && seen == 1 && tick == seen_tick)
#endif

inline use_mine()
{
	assert(m_has_p);
	use()
}

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
		use_mine();
		d_step { tick++; in_syscall = 1; age = 0 };
		if
#ifdef NO_D7
		:: hold = DETACHED;
#else
		:: atomic { hold == NONE -> hold = DETACHED };
#endif
			m_has_p = false;
			use();
			n_idle++
		:: true
		fi;
		in_runtime = 0;
		/* The call. */
		if
		:: d_step { sleeps = 1; has_slept = true };
			sleeps = 0
		:: true
		fi;
		/* weft_syscall_exit: */
		in_syscall = 0;
		in_runtime = 1;
#ifndef NO_VERDICT
		do
		:: hold == DETACHING -> in_runtime = 0; hold != DETACHING; in_runtime = 1
		:: hold == DETACHED -> hold = NONE; n_idle > 0; n_idle--; m_has_p = true
		:: hold == NONE -> break
		od;
#endif
		use_mine();
		in_runtime = 0
	}
}

/* Three words, one after the other: each may be of another call. */
inline look_asleep()
{
	asleep = false;
	if
	:: in_syscall == 1 ->
		if
		:: in_runtime == 0 ->
#ifdef NO_SLEEP
			asleep = true
#else
			asleep = sleeps
#endif
		:: else
		fi
	:: else
	fi
}

active proctype monitor()
{
	byte turn, seen_tick;
	bit seen;
	bool asleep;

	for (turn : 1 .. 4) {
		look_asleep();
		if
		:: atomic { SEEN_BEFORE || asleep ->
				assert(age > 0 || (asleep && has_slept)) };
			if
			:: atomic { hold == NONE && m_has_p -> hold = DETACHING };
				if
#ifndef NO_D5
				:: in_runtime == 1 -> hold = NONE
				:: in_runtime == 0 ->
#else
				:: true ->
#endif
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
