/*
 * The detach handshake (src/sched/README.md, "Detach", D1-D6), with the store buffer of the M: its
 * stores to in_runtime may reach memory late. The monitor's membarrier makes it empty.
 *
 * machine is wf_enter() and wf_leave() of self.h, with wf_enter_slow() of enter.c where hold is not
 * NONE; monitor is wf_detach() of detach.c. What a P keeps (mutexes, locks of channels) goes with it:
 * it is used inside only, by use().
 *
 * Wrong variants: NO_MEMBARRIER, NO_D2 (the M does not look), NO_WAIT (a thread that finds
 * DETACHING goes on), NO_D5 (the monitor does not look), NO_UNDO.
 */
mtype = { NONE, DETACHING, DETACHED };

mtype hold = NONE;
bit in_runtime;			/* as the monitor sees it */
bit buffered, has_buffered;	/* the newest store of the M that has not got there */
byte owners;			/* who uses the P at this moment */
bool m_has_p = true;
byte n_idle;			/* Ps for a thread that lost its own */

/* A store of the M: it waits in the buffer, the one before it goes out first. */
inline store(v)
{
	d_step {
		if
		:: has_buffered -> in_runtime = buffered
		:: else
		fi;
		buffered = v;
		has_buffered = true
	}
}

inline drain()
{
	d_step {
		if
		:: has_buffered -> in_runtime = buffered; has_buffered = false
		:: else
		fi
	}
}

/* The buffer empties by itself some time. */
active proctype buffer()
{
end:
	do
	:: atomic { has_buffered -> in_runtime = buffered; has_buffered = false }
	od
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
again:
		store(1);					/* D1 */
#ifndef NO_D2
		if						/* D2 */
		:: hold == DETACHING ->
#ifndef NO_WAIT
			drain();	/* the slow path has a fence */
			store(0);				/* steps back out */
			drain();
			hold != DETACHING;
			goto again
#else
			skip
#endif
		:: hold == DETACHED ->
			drain();
			hold = NONE;				/* D6 */
			n_idle > 0;	/* or it queues up until one is */
			n_idle--;
			m_has_p = true
		:: hold == NONE
		fi;
#endif
		/* Inside: uses its P at will. */
		use();
		use();
		store(0)					/* D3 */
	}
}

active proctype monitor()
{
	byte turn;

	for (turn : 1 .. 2) {
		if
		:: atomic { hold == NONE && m_has_p -> hold = DETACHING };	/* D4 */
#ifndef NO_MEMBARRIER
			drain();
#endif
			if						/* D5 */
#ifndef NO_D5
			:: in_runtime == 1 ->
#ifndef NO_UNDO
				hold = NONE
#else
				hold = DETACHED
#endif
			:: in_runtime == 0 ->
#else
			:: true ->
#endif
				m_has_p = false;
				hold = DETACHED;
				/* Somebody else has the P for a while. */
				use();
				n_idle++
			fi
		:: true		/* it does not want to */
		fi
	}
}
