/*
 * The idle protocol (src/sched/README.md, "Going idle, and being woken", A1-A3, R1-R3, S1-S5), in
 * sequential consistency, which its orders are to give; whether they do is the explorer's matter
 * (../scenario/idle.c). Two bring work to queues of their own and compute on; threads look for it,
 * and compute for ever with what they have found; a visitor comes back from a call, takes an idle P
 * and gives it up again.
 *
 * Claims: at rest no work lies there beside an idle P (watcher); and it never lies there for ever,
 * if whoever can go on does some time (left_alone).
 *
 * giver is wf_ready() of park.c and wf_inject() of queue.c; wake_one() and start_spinner() are those
 * of wake.c; thread is wf_schedule() of switch.c, with search for wf_find_runnable() and S1 to S5 for
 * go_idle() of find.c, look() for wf_has_work() and have for wf_stop_spinning() of wake.c; visitor is
 * wf_enter_slow() of enter.c, and then wf_hand_off(). A nap (K1-K5) is not here: who naps is one that
 * spins, slowly. Nor is a P alone (X1-X3).
 *
 * Wrong variants: NO_WAKE (A3), NO_HANDING_ON (R3), NO_SECOND_LOOK (S4), NO_VISITORS_LOOK (S4 of who
 * hands a P off), NO_ORDER (S2 before S1, S4 between), NO_LATE_LOOK (S4 before S1), NO_LOCK (a waker
 * that found no P takes n_spinning back outside the lock).
 */
#define THREADS 2
#define GIVERS 2
#define IS_WORK (work[0] > 0 || work[1] > 0)

byte work[GIVERS];
byte n_spinning;
byte n_idle_p = 1;		/* the first thread has the other P that is nobody's */
byte n_given;			/* Ps on their way to a thread that sleeps */

/* n_spinning is 1 by us. Under sched.lock, so in one step. */
inline start_spinner()
{
#ifndef NO_LOCK
	atomic {
		if
		:: n_idle_p > 0 -> n_idle_p--; n_given++
		:: else -> n_spinning--
		fi
	}
#else
	if
	:: atomic { n_idle_p > 0 -> n_idle_p--; n_given++ }
	:: n_idle_p == 0 -> n_spinning--
	fi
#endif
}

inline wake_one()					/* A3 */
{
	if
	:: n_spinning > 0
	:: n_spinning == 0 ->
		if
		:: n_idle_p == 0
		:: n_idle_p > 0 ->
			if
			:: atomic { n_spinning == 0 -> n_spinning = 1 }; start_spinner()
			:: n_spinning > 0
			fi
		fi
	fi
}

/* One queue after the other. */
inline look()
{
	if
	:: work[0] > 0 -> found = true
	:: work[0] == 0 ->
		if
		:: work[1] > 0 -> found = true
		:: work[1] == 0 -> found = false
		fi
	fi
}

active [GIVERS] proctype giver()
{
	byte turn;

	for (turn : 1 .. 2 - _pid) {			/* one brings two, the other one */
		work[_pid]++;				/* A1, A2 */
#ifndef NO_WAKE
		wake_one()				/* A3 */
#endif
	}
}

active [THREADS] proctype thread()
{
	bool spins, found;

	if
	:: _pid > GIVERS -> goto asleep
	:: else
	fi;
search:
	if						/* half as many look as compute */
	:: !spins -> n_spinning++; spins = true
	:: true
	fi;
	if
	:: spins ->
		if
		:: atomic { work[0] > 0 -> work[0]-- }; goto have
		:: work[0] == 0
		fi;
		if
		:: atomic { work[1] > 0 -> work[1]-- }; goto have
		:: work[1] == 0
		fi
	:: else
	fi;
#if defined(NO_ORDER)
	if
	:: spins -> n_spinning--; spins = false
	:: else
	fi;
	look();
	n_idle_p++;
#else
#ifdef NO_LATE_LOOK
	look();
#endif
	n_idle_p++;					/* S1 */
	if
	:: spins -> n_spinning--; spins = false		/* S2, S3 */
	:: else
	fi;
#if !defined(NO_LATE_LOOK) && !defined(NO_SECOND_LOOK)
	look();						/* S4 */
#endif
#endif
	if
	:: found ->
		found = false;
		if
		:: atomic { n_idle_p > 0 -> n_idle_p-- }; n_spinning++; spins = true; goto search
		:: n_idle_p == 0
		fi
	:: else
	fi;
asleep:							/* S5 */
end:
	atomic { n_given > 0 -> n_given--; spins = true };
	goto search;
have:
	n_spinning--;					/* R1, R2 */
#ifndef NO_HANDING_ON
	wake_one()					/* R3 */
#else
	skip
#endif
}

active proctype visitor()
{
	bool found;

	if
	:: atomic { n_idle_p > 0 -> n_idle_p-- };	/* D6 */
		n_idle_p++;				/* S1 */
#ifndef NO_VISITORS_LOOK
		look();					/* S4 */
		if
		:: found -> wake_one()
		:: else
		fi
#endif
	:: true
	fi
}

active proctype watcher()
{
end:
	timeout;
	assert(n_idle_p == 0 || !IS_WORK)
}

ltl left_alone { [] ((n_idle_p > 0 && IS_WORK) -> <> (n_idle_p == 0 || !IS_WORK)) }
