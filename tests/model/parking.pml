/*
 * parking.pml - parked records (docs/design/progress.md) as a model that spin checks in every order of its steps: two owners,
 * one subpartition with three records of one key, chunks of any cut, a replica that lags and one failover to it, loads that
 * are answered late, connections that are lost while a batch is still on its way, zombies, compactions.
 *
 * What must hold after every step: the records that the database's progress covers are in the table or in a chunk, each
 * once, and the table has got them in order. That batches and claims wait for each other is taken from progress.pml: here a
 * batch is one step.
 *
 * One rule at a time can be left out, and spin must then find the harm (tests/model/test_models.py):
 *
 *   -DNO_TOKEN         a batch does not check its claim
 *   -DNO_CLAIM         after an unknown outcome the records are sent again under the same token
 *   -DNEEDS_FORGET     an unpark is not what the next batch builds upon
 *   -DBASE_FORGETS     it is not what a compaction builds upon
 *   -DMEMORY_FIRST     records in memory are applied before chunks
 *   -DMARK_STAYS       a chunk that is emptied in part is not marked
 *   -DNO_PROGRESS      a park does not move progress
 *   -DKEPT             a loaded chunk is kept over a claim
 *   -DLOAD_ANY         a load does not check the claim
 */

#define OWNERS 2
#ifndef SEQS
#define SEQS 5      /* numbers of batches: 1 to SEQS - 1 */
#endif
#ifndef MESSAGES
#define MESSAGES 2  /* on their way at once: 2 or 3 */
#endif
#ifndef CLAIMS
#define CLAIMS 3    /* in all */
#endif
#ifndef COMPACTIONS
#define COMPACTIONS 1
#endif
#ifndef LOSSES
#define LOSSES 1    /* connections that are lost with something on its way */
#endif
#define RECORDS 3

/* What a database holds. A chunk has the number of its first record; `last` 0: it is not there. */
typedef store {
    byte token;
    byte base_seq;
    byte base;               /* the last record covered; 0: none */
    byte row[SEQS];          /* the journal by seq: 0: no row, 1: one without an offset, else the offset + 1 */
    byte last[RECORDS + 1];
    byte done[RECORDS + 1];
    byte applied;            /* the table: its newest record */
}

typedef owner_state {
    bool claimed;
    byte token;
    byte next_seq;
    byte at;          /* where the subpartition is, as far as it knows */
    byte by;          /* the last batch of it; 0: base or nothing */
#ifdef BASE_FORGETS
    byte moved_by;    /* the last one that moved it */
#endif
    byte base_seq;
    byte parked_to;   /* the last record of its chunks */
    byte above;       /* the last record of those that were emptied */
    byte first, last, done; /* of the loaded chunk; `last` 0: there is none */
}

mtype = { FREE, SENT, ANSWERED };
mtype = { ROWS, PARK, UNPARK, LOAD, COMPACTION };

typedef message {
    mtype state = FREE;
    mtype kind;
    byte owner;
    bool awaited;     /* its owner still listens for the answer */
    byte token;
    byte seq;
    byte from, to;    /* records behind `from` up to `to`; COMPACTION: the base */
    byte first, last, done; /* UNPARK: the chunk; LOAD: `first` is `above`, and the answer */
    byte needs;       /* a seq; 0: none */
}

store db, replica;
owner_state owner[OWNERS];
message sent[MESSAGES];
byte claims, compactions, losses;
bool copied, failed_over;

inline copy_store(to_, from_)
{
    to_.token = from_.token; to_.base_seq = from_.base_seq; to_.base = from_.base; to_.applied = from_.applied;
    for (i : 1 .. SEQS - 1) { to_.row[i] = from_.row[i]; }
    for (i : 1 .. RECORDS) { to_.last[i] = from_.last[i]; to_.done[i] = from_.done[i]; }
    i = 0
}

/* It means nothing any more: fewer states. */
inline forget_replica()
{
    replica.token = 0; replica.base_seq = 0; replica.base = 0; replica.applied = 0;
    for (i : 1 .. SEQS - 1) { replica.row[i] = 0; }
    for (i : 1 .. RECORDS) { replica.last[i] = 0; replica.done[i] = 0; }
    i = 0
}

/* Where the database says that the subpartition is: `reached`, by the batch `by`. */
inline read_progress()
{
    reached = db.base;
    by = 0;
    for (i : 1 .. SEQS - 1) {
        if
        :: db.row[i] > reached + 1 -> reached = db.row[i] - 1; by = i
        :: else
        fi
    }
    i = 0
}

/* The promise. */
inline check()
{
    read_progress();
    for (r : 1 .. RECORDS) {
        n = (r <= db.applied -> 1 : 0);
        for (i : 1 .. RECORDS) {
            if
            :: db.last[i] != 0 && i <= r && r <= db.last[i] && r > db.done[i] -> n++
            :: else
            fi
        }
        assert(n == (r <= reached -> 1 : 0))
    }
    reached = 0; by = 0; i = 0; n = 0; r = 0
}

inline let_go(m)
{
    sent[m].state = FREE; sent[m].kind = 0; sent[m].owner = 0; sent[m].awaited = false; sent[m].token = 0; sent[m].seq = 0;
    sent[m].from = 0; sent[m].to = 0; sent[m].first = 0; sent[m].last = 0; sent[m].done = 0; sent[m].needs = 0
}

/* The owner forgets all it knows and listens for nothing any more. */
inline forget(w)
{
    owner[w].claimed = false; owner[w].token = 0; owner[w].next_seq = 0; owner[w].base_seq = 0;
    owner[w].at = 0; owner[w].by = 0; owner[w].parked_to = 0; owner[w].above = 0;
#ifdef BASE_FORGETS
    owner[w].moved_by = 0;
#endif
#ifndef KEPT
    owner[w].first = 0; owner[w].last = 0; owner[w].done = 0;
#endif
    for (n : 0 .. MESSAGES - 1) {
        if
        :: sent[n].owner == w && sent[n].awaited -> sent[n].awaited = false
        :: else
        fi
    }
    n = 0
}

/* ---- the database ---- */

inline may_be_done(m)
{
    holds = sent[m].token == db.token;
#ifdef NO_TOKEN
    holds = true;
#endif
#ifdef LOAD_ANY
    holds = holds || sent[m].kind == LOAD;
#endif
    if
    :: sent[m].needs > db.base_seq && db.row[sent[m].needs] == 0 -> holds = false
    :: sent[m].kind != COMPACTION && sent[m].kind != LOAD && db.row[sent[m].seq] != 0 -> holds = false
    :: sent[m].kind == UNPARK && (db.last[sent[m].first] != sent[m].last || db.done[sent[m].first] != sent[m].done) ->
        holds = false
    :: sent[m].kind == PARK && db.last[sent[m].from + 1] != 0 -> holds = false
    :: else
    fi
}

inline apply(m)
{
    for (r : sent[m].from + 1 .. sent[m].to) {
        assert(r == db.applied + 1);
        db.applied = r
    }
    r = 0
}

inline commit_unpark(m)
{
    apply(m);
    if
    :: sent[m].to == sent[m].last -> db.last[sent[m].first] = 0; db.done[sent[m].first] = 0
#ifdef MARK_STAYS
    :: else
#else
    :: else -> db.done[sent[m].first] = sent[m].to
#endif
    fi
}

inline commit_park(m)
{
    db.last[sent[m].from + 1] = sent[m].to;
    db.done[sent[m].from + 1] = sent[m].from
}

inline commit_compaction(m)
{
    if
    :: db.base_seq < sent[m].seq ->
        db.base_seq = sent[m].seq;
        db.base = sent[m].to;
        for (i : 1 .. sent[m].seq) { db.row[i] = 0 }
        i = 0
    :: else
    fi
}

inline commit(m)
{
    if
    :: sent[m].kind == ROWS -> db.row[sent[m].seq] = sent[m].to + 1; apply(m)
#ifdef NO_PROGRESS
    :: sent[m].kind == PARK -> db.row[sent[m].seq] = 1; commit_park(m)
#else
    :: sent[m].kind == PARK -> db.row[sent[m].seq] = sent[m].to + 1; commit_park(m)
#endif
    :: sent[m].kind == UNPARK -> db.row[sent[m].seq] = 1; commit_unpark(m)
    :: sent[m].kind == COMPACTION -> commit_compaction(m)
    fi;
    check()
}

/* The lowest chunk above; `last` 0: none. */
inline read_chunk(m)
{
    for (i : 1 .. RECORDS) {
        if
        :: sent[m].last == 0 && db.last[i] != 0 && i > sent[m].first ->
            sent[m].first = i; sent[m].last = db.last[i]; sent[m].done = db.done[i]
        :: else
        fi
    }
    i = 0
}

inline hear_batch(m)
{
    w = sent[m].owner;
    if
    :: sent[m].kind == UNPARK ->
#ifndef NEEDS_FORGET
        owner[w].by = sent[m].seq;
#endif
        if
        :: sent[m].to == sent[m].last -> owner[w].above = sent[m].last; owner[w].first = 0; owner[w].last = 0; owner[w].done = 0
        :: else -> owner[w].done = sent[m].to
        fi
    :: sent[m].kind == COMPACTION -> owner[w].base_seq = sent[m].seq
    :: sent[m].kind == ROWS || sent[m].kind == PARK ->
        owner[w].at = sent[m].to; owner[w].by = sent[m].seq;
#ifdef BASE_FORGETS
        owner[w].moved_by = sent[m].seq;
#endif
        if
        :: sent[m].kind == PARK -> owner[w].parked_to = sent[m].to
        :: else
        fi
    fi;
    w = 0
}

/* A chunk that is believed in and is not there: claim. */
inline hear_load(m)
{
    w = sent[m].owner;
    told = sent[m].awaited;
    if
    :: told && sent[m].last != 0 ->
        owner[w].first = sent[m].first; owner[w].last = sent[m].last; owner[w].done = sent[m].done;
        let_go(m)
    :: told && sent[m].last == 0 -> let_go(m); forget(w)
    :: else -> let_go(m)
    fi;
    w = 0; told = false
}

/* Done or refused; the owner hears of it when it still listens. */
inline carry_out(m)
{
    may_be_done(m);
    if
    :: holds && sent[m].kind == LOAD -> read_chunk(m); sent[m].state = ANSWERED
    :: holds && sent[m].kind != LOAD ->
        commit(m);
        if
        :: sent[m].awaited -> hear_batch(m)
        :: else
        fi;
        let_go(m)
    :: else ->
        w = sent[m].owner;
        told = sent[m].awaited;
        let_go(m);
        if
        :: told -> forget(w)
        :: else
        fi;
        w = 0; told = false
    fi;
    holds = false
}

/* Done, and its answer is lost with the connection. */
inline carry_out_unheard(m)
{
    losses++;
    w = sent[m].owner;
    forget(w);
    w = 0;
    carry_out(m)
}

active proctype database()
{
    byte i, r, n, w, reached, by;
    bool holds, told;
end:
    do
    :: d_step { sent[0].state == SENT -> carry_out(0) }
    :: d_step { sent[1].state == SENT -> carry_out(1) }
#if MESSAGES > 2
    :: d_step { sent[2].state == SENT -> carry_out(2) }
#endif
    :: d_step { sent[0].state == ANSWERED -> hear_load(0) }
    :: d_step { sent[1].state == ANSWERED -> hear_load(1) }
#if MESSAGES > 2
    :: d_step { sent[2].state == ANSWERED -> hear_load(2) }
#endif
    :: d_step { sent[0].state == SENT && sent[0].awaited && losses < LOSSES -> carry_out_unheard(0) }
    :: d_step { sent[1].state == SENT && sent[1].awaited && losses < LOSSES -> carry_out_unheard(1) }
#if MESSAGES > 2
    :: d_step { sent[2].state == SENT && sent[2].awaited && losses < LOSSES -> carry_out_unheard(2) }
#endif
    /* With one failover, one moment up to which the replica has everything is enough; before it, it has nothing. */
    :: d_step { !copied && !failed_over -> copied = true; copy_store(replica, db) }
    :: d_step { !failed_over -> failed_over = true; copy_store(db, replica); forget_replica(); check() }
    od
}

/* ---- owners ---- */

inline take_claim(w)
{
    claims++;
    db.token = claims;
    forget(w);
    owner[w].claimed = true;
    owner[w].token = claims;
    owner[w].base_seq = db.base_seq;
    owner[w].next_seq = db.base_seq + 1;
    read_progress();
    owner[w].at = reached;
    owner[w].by = by;
#ifdef BASE_FORGETS
    owner[w].moved_by = by;
#endif
    for (i : 1 .. RECORDS) {
        if
        :: db.last[i] != 0 -> owner[w].parked_to = db.last[i]
        :: else
        fi
    }
    for (i : 1 .. SEQS - 1) {
        if
        :: db.row[i] != 0 && i >= owner[w].next_seq -> owner[w].next_seq = i + 1
        :: else
        fi
    }
    i = 0; reached = 0; by = 0
}

/* A free message; and of the subpartition no batch in flight, for a load no load. */
inline find_slot(w, is_load)
{
    slot = MESSAGES;
    for (m : 0 .. MESSAGES - 1) {
        if
        :: sent[m].state == FREE && slot == MESSAGES -> slot = m
        :: sent[m].state != FREE && sent[m].awaited && sent[m].owner == w && sent[m].kind != COMPACTION &&
           (sent[m].kind == LOAD) == is_load -> slot = MESSAGES + 1
        :: else
        fi
    }
    m = 0
}

inline begin_message(w, what)
{
    sent[slot].kind = what;
    sent[slot].owner = w; sent[slot].awaited = true; sent[slot].token = owner[w].token;
    sent[slot].state = SENT
}

inline begin_batch(w, what, behind, upto)
{
    begin_message(w, what);
    sent[slot].seq = owner[w].next_seq;
    owner[w].next_seq = owner[w].next_seq + 1;
    sent[slot].from = behind; sent[slot].to = upto;
    sent[slot].needs = owner[w].by
}

inline send_memory(w, what, upto)
{
    find_slot(w, false);
    if
    :: slot < MESSAGES -> begin_batch(w, what, owner[w].at, upto)
    :: else
    fi;
    slot = 0
}

inline send_unpark(w, upto)
{
    find_slot(w, false);
    if
    :: slot < MESSAGES ->
        begin_batch(w, UNPARK, owner[w].done, upto);
        sent[slot].first = owner[w].first; sent[slot].last = owner[w].last; sent[slot].done = owner[w].done
    :: else
    fi;
    slot = 0
}

inline send_load(w)
{
    find_slot(w, true);
    if
    :: slot < MESSAGES -> begin_message(w, LOAD); sent[slot].first = owner[w].above
    :: else
    fi;
    slot = 0
}

/* The base may move up to below a batch that is open. */
inline send_compaction(w)
{
    highest = owner[w].next_seq - 1;
    slot = MESSAGES;
    for (m : 0 .. MESSAGES - 1) {
        if
        :: sent[m].state == FREE -> slot = m
        :: sent[m].state != FREE && sent[m].awaited && sent[m].owner == w && sent[m].kind != LOAD ->
            if
            :: sent[m].kind != COMPACTION && sent[m].seq <= highest -> highest = sent[m].seq - 1
            :: else
            fi
        :: else
        fi
    }
    m = 0;
    if
    :: slot < MESSAGES && highest > owner[w].base_seq ->
        compactions++;
        begin_message(w, COMPACTION);
        sent[slot].seq = highest; sent[slot].to = owner[w].at;
        sent[slot].needs = owner[w].by;
#ifdef BASE_FORGETS
        sent[slot].needs = owner[w].moved_by;
#endif
    :: else
    fi;
    slot = 0; highest = 0
}

#define CAN_SEND owner[w].claimed && owner[w].next_seq < SEQS
#define HAS_CHUNKS (owner[w].parked_to > owner[w].above)
#ifdef MEMORY_FIRST
#define MAY_APPLY CAN_SEND && owner[w].at < RECORDS
#else
#define MAY_APPLY CAN_SEND && owner[w].at < RECORDS && !HAS_CHUNKS
#endif

active [OWNERS] proctype worker()
{
    byte i, m, n, slot, reached, by, highest;
    byte w = _pid - 1; /* the database is process 0 */
end:
    do
    :: d_step { !owner[w].claimed && claims < CLAIMS && (claims > 0 || w == 0) -> take_claim(w) }
    :: d_step { MAY_APPLY -> send_memory(w, ROWS, owner[w].at + 1) }
    :: d_step { CAN_SEND && owner[w].at < RECORDS -> send_memory(w, PARK, owner[w].at + 1) }
    :: d_step { CAN_SEND && owner[w].at + 1 < RECORDS -> send_memory(w, PARK, owner[w].at + 2) }
    :: d_step { CAN_SEND && HAS_CHUNKS && owner[w].last == 0 -> send_load(w) }
    :: d_step { CAN_SEND && owner[w].last != 0 -> send_unpark(w, owner[w].last) }
    :: d_step { CAN_SEND && owner[w].last > owner[w].done + 1 -> send_unpark(w, owner[w].done + 1) }
    :: d_step { owner[w].claimed && compactions < COMPACTIONS -> send_compaction(w) }
    /* The connection is lost: what was sent may yet be done. */
#ifdef NO_CLAIM
    :: d_step { sent[0].awaited && sent[0].owner == w && losses < LOSSES -> losses++; sent[0].awaited = false }
    :: d_step { sent[1].awaited && sent[1].owner == w && losses < LOSSES -> losses++; sent[1].awaited = false }
#if MESSAGES > 2
    :: d_step { sent[2].awaited && sent[2].owner == w && losses < LOSSES -> losses++; sent[2].awaited = false }
#endif
#else
    :: d_step { owner[w].claimed && losses < LOSSES -> losses++; forget(w) }
#endif
    od
}
