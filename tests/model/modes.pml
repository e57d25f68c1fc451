/*
 * modes.pml - a key that changes its way (docs/design/modes.md) as a model that spin checks in every order of its steps: two edges
 * with leases, the row of the route in the shard, writes that go to the database in three steps, the log with its worker, and a
 * command that moves keys out of the log and back. The key that is looked at is one that moves each time, or one that is in the
 * database before and after the first change and moves with the second. What other keys' writes do is of no importance to it:
 * they share locks, so that the command waits longer.
 *
 * What must hold: when a write is let through to the database, the log has no record of the key that a client was told of and that is
 * not applied; and when a client is told that its write is in the log, no write of the key runs in the database.
 *
 * Time is what the command waits for: when it has waited, whatever an edge had begun to read before the change is worth
 * nothing any more.
 *
 * One rule at a time can be left out, and spin must then find the harm (tests/model/test_models.py):
 *
 *   -DNO_LEASE       what was read holds for ever
 *   -DLEASE_FROM_END it counts from the end of the read
 *   -DNO_LOOK        a client is told without a second look at the lease
 *   -DNO_WAIT        the command does not wait for leases
 *   -DNO_EMPTY       nor for the log
 *   -DNO_LOCK        nor for writes that run in the database
 *   -DNO_CHAIN       nor for those when it moves keys out of the log
 *   -DNO_REREAD      such a write does not read the row again once it has the lock
 *   -DOPEN           a change does not close the key first
 */

#define EDGES 2
#ifndef RECORDS
#define RECORDS 1 /* appended in all */
#endif
#ifndef CHANGES
#define CHANGES 2
#endif
#define VERSIONS (CHANGES + 1)

/* The row. */
bool into_log = true, is_closed;
bool is_chosen, joins_later; /* the key: it does not move with the first change */
byte version;

/* The log: records up to `end`, applied up to `applied`. */
byte end, applied;
bool told[RECORDS];

/* Writes in the database: by the version whose lock they have, and those that were let through. */
byte locks[VERSIONS], running;

typedef edge_state {
    bool valid, knows_log, knows_closed; /* what it goes by */
    bool reads, has_read, is_worthless, reads_log, reads_closed;
    byte known_version, read_version;
    byte waits;    /* its record, counted from 1, whose client was not told yet; 0: none */
    bool in_time;  /* the lease that let it through */
    byte let_by;   /* and of which version that was */
    byte step;     /* of its write to the database; 0: none */
    byte by;       /* the version that it has the lock of */
};
edge_state edge[EDGES];

inline look_for_told()
{
    i = applied;
    do
    :: i < end -> assert(!told[i]); i++
    :: else -> break
    od;
    i = 0
}

/* The time that the command waits is over. */
inline let_time_pass()
{
    i = 0;
    do
    :: i < EDGES ->
        if
        :: edge[i].known_version < version -> edge[i].valid = false
        :: else
        fi;
        if
        :: edge[i].let_by < version -> edge[i].in_time = false
        :: else
        fi;
#ifndef LEASE_FROM_END
        if
        :: edge[i].reads && edge[i].has_read && edge[i].read_version < version -> edge[i].is_worthless = true
        :: else
        fi;
#endif
        i++
    :: else -> break
    od;
    i = 0
}

active [EDGES] proctype edge_process()
{
    byte i;
    byte e = _pid;
endloop:
    do
    /* the row */
    :: d_step { is_chosen && !edge[e].reads -> edge[e].reads = true; edge[e].has_read = false; edge[e].is_worthless = false }
    :: d_step { edge[e].reads && !edge[e].has_read ->
        edge[e].has_read = true; edge[e].reads_log = into_log; edge[e].reads_closed = is_closed; edge[e].read_version = version }
    :: d_step { edge[e].reads && edge[e].has_read ->
        edge[e].reads = false; edge[e].has_read = false;
        edge[e].valid = !edge[e].is_worthless;
#ifdef NO_LEASE
        edge[e].valid = true;
#endif
        edge[e].knows_log = edge[e].reads_log; edge[e].knows_closed = edge[e].reads_closed;
        edge[e].known_version = edge[e].read_version }

    /* a write into the log */
    :: d_step { edge[e].valid && edge[e].knows_log && !edge[e].knows_closed && edge[e].waits == 0 && end < RECORDS ->
        edge[e].waits = 255; edge[e].in_time = true; edge[e].let_by = edge[e].known_version }
    :: d_step { edge[e].waits == 255 && end < RECORDS -> end++; edge[e].waits = end }
    :: d_step { edge[e].waits == 255 -> edge[e].waits = 0; edge[e].in_time = false; edge[e].let_by = 0 }
    :: d_step { edge[e].waits > 0 && edge[e].waits < 255 ->
        if
#ifdef NO_LOOK
        :: true ->
#else
        :: edge[e].in_time || (edge[e].valid && edge[e].known_version == edge[e].let_by) ->
#endif
            assert(running == 0); told[edge[e].waits - 1] = true
#ifndef NO_LOOK
        :: else /* 504 */
#endif
        fi;
        edge[e].waits = 0; edge[e].in_time = false; edge[e].let_by = 0 }

    /* a write to the database */
    :: d_step { edge[e].valid && !edge[e].knows_log && !edge[e].knows_closed && edge[e].step == 0 ->
        edge[e].step = 1 }
    :: d_step { edge[e].step == 1 -> edge[e].by = version; edge[e].step = 2
#ifdef NO_REREAD
        ; if
        :: !into_log && !is_closed
        :: else -> edge[e].step = 0
        fi
#endif
        }
    :: d_step { edge[e].step == 2 -> locks[edge[e].by]++; edge[e].step = 3 }
    :: d_step { edge[e].step == 3 ->
        if
#ifdef NO_REREAD
        :: true ->
#else
        :: version == edge[e].by && !into_log && !is_closed ->
#endif
            look_for_told(); running++; edge[e].step = 4
#ifndef NO_REREAD
        :: else -> locks[edge[e].by]--; edge[e].step = 0
#endif
        fi }
    :: d_step { edge[e].step == 4 -> running--; locks[edge[e].by]--; edge[e].step = 0 }
    od
}

active proctype worker()
{
endloop:
    do
    :: d_step { applied < end -> applied++ }
    od
}

active proctype command()
{
    byte i, change, mark;
    if
    :: skip
    :: d_step { joins_later = true; into_log = false }
    fi;
    is_chosen = true;
    do
    :: change < CHANGES ->
        d_step {
            version++;
            if
            :: joins_later && change == 0
            :: else ->
                into_log = !into_log;
#ifndef OPEN
                is_closed = true
#endif
            fi
        };
        if
        :: change % 2 == 0 ->
#ifndef NO_LOCK
#ifndef NO_CHAIN
            locks[version - 1] == 0;
#endif
#endif
#ifndef NO_WAIT
            d_step { let_time_pass() };
#endif
            mark = end;
#ifndef NO_EMPTY
            applied >= mark;
#endif
        :: else ->
#ifndef NO_LOCK
            locks[version - 1] == 0;
#endif
        fi;
        d_step { is_closed = false; change++; mark = 0 }
    :: else -> break
    od
}
