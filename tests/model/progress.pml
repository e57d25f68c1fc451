/*
 * progress.pml - the progress protocol (docs/design/progress.md) as a model that spin checks in every order of its steps:
 * two owners, two subpartitions, three records, a replica that lags and one failover to it, connections that are lost while
 * their batch is still on its way, zombies, compactions.
 *
 * What must hold after every step: a record is covered by the progress that the database holds exactly when its effect is in
 * the rows, once. Rows and progress are in one database and go back together; what survives a failover is only what workers
 * believe and what is still on its way.
 *
 * One rule at a time can be left out, and spin must then find the harm (tests/model/test_models.py):
 *
 *   -DEPOCH       the claim is a counter instead of a random token
 *   -DNO_NEEDS    a batch does not check what it builds upon
 *   -DNO_CLAIM    after an unknown outcome the records are sent again under the same token
 *   -DMEMORY      a compaction does not check what it builds upon
 *   -DPAST_OPEN   the base moves past a batch that is still open
 *   -DNO_LOCK     a claim does not wait for batches that have been let through
 */

#define OWNERS 2
#define SUBS 2
#ifndef SEQS
#define SEQS 4      /* numbers of batches: 1 to SEQS - 1 */
#endif
#ifndef MESSAGES
#define MESSAGES 3
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

/* Records 1 and 3 are of subpartition 0, record 2 is of subpartition 1; the log ends there. */
#define SUB_OF(record) (1 - (record) % 2)
#define LAST_OF(sub) (3 - (sub))

/* What a database holds. */
typedef store {
    byte token;
#ifdef EPOCH
    byte epoch;
#endif
    byte base_seq;
    byte base[SUBS];  /* the last record covered; 0: none */
    byte sub[SEQS];   /* the journal by seq: subpartition + 1; 0: no row */
    byte at[SEQS];    /* where that subpartition is after it */
    byte effects[4];  /* of each record in the rows */
}

typedef owner_state {
    bool claimed;
    byte token;
    byte next_seq;
    byte at[SUBS];    /* where each subpartition is, as far as it knows */
    byte last[SUBS];  /* the batch that took it there; 0: base or nothing */
    byte base_seq;
}

mtype = { FREE, SENT, CHECKED };
mtype = { BATCH, COMPACTION };

typedef message {
    mtype state = FREE;
    mtype kind;
    byte owner;
    bool awaited;     /* its owner still listens for the answer */
    byte token;
    byte seq;
    byte sub;         /* BATCH */
    byte from, to;    /* records behind `from` up to `to` */
    byte base[SUBS];  /* COMPACTION */
    byte needs[SUBS]; /* seqs; 0: none */
}

store db, replica;
owner_state owner[OWNERS];
message sent[MESSAGES];
byte claims, compactions, losses;
bool copied, failed_over;

inline copy_store(to, from_)
{
    to.token = from_.token;
#ifdef EPOCH
    to.epoch = from_.epoch;
#endif
    to.base_seq = from_.base_seq;
    for (i : 0 .. SUBS - 1) { to.base[i] = from_.base[i]; }
    for (i : 0 .. SEQS - 1) { to.sub[i] = from_.sub[i]; to.at[i] = from_.at[i]; }
    for (i : 1 .. 3) { to.effects[i] = from_.effects[i]; }
}

/* It means nothing any more: fewer states. */
inline forget_replica()
{
    replica.token = 0; replica.base_seq = 0;
#ifdef EPOCH
    replica.epoch = 0;
#endif
    for (i : 0 .. SUBS - 1) { replica.base[i] = 0; }
    for (i : 0 .. SEQS - 1) { replica.sub[i] = 0; replica.at[i] = 0; }
    for (i : 1 .. 3) { replica.effects[i] = 0; }
    i = 0
}

/* Where the database says that a subpartition is: `reached`, by the batch `by`. */
inline read_progress(s)
{
    reached = db.base[s];
    by = 0;
    for (i : 1 .. SEQS - 1) {
        if
        :: db.sub[i] == s + 1 && db.at[i] > reached -> reached = db.at[i]; by = i
        :: else
        fi
    }
}

/* The promise. */
inline check()
{
    for (r : 1 .. 3) {
        read_progress(SUB_OF(r));
        assert(db.effects[r] == (r <= reached -> 1 : 0));
    }
    reached = 0; by = 0; i = 0; r = 0
}

inline let_go(m)
{
    sent[m].state = FREE; sent[m].kind = 0; sent[m].owner = 0; sent[m].awaited = false; sent[m].token = 0;
    sent[m].seq = 0; sent[m].sub = 0; sent[m].from = 0; sent[m].to = 0;
    for (i : 0 .. SUBS - 1) { sent[m].base[i] = 0; sent[m].needs[i] = 0; }
    i = 0
}

/* The owner forgets all it knows and listens for nothing any more. */
inline forget(w)
{
    owner[w].claimed = false; owner[w].token = 0; owner[w].next_seq = 0; owner[w].base_seq = 0;
    for (i : 0 .. SUBS - 1) { owner[w].at[i] = 0; owner[w].last[i] = 0; }
    for (n : 0 .. MESSAGES - 1) {
        if
        :: sent[n].owner == w && sent[n].awaited ->
            sent[n].awaited = false
        :: else
        fi
    }
    i = 0; n = 0
}

/* ---- the database ---- */

inline needs_are_there(m)
{
    holds = true;
    for (i : 0 .. SUBS - 1) {
        if
        :: sent[m].needs[i] > db.base_seq && db.sub[sent[m].needs[i]] == 0 -> holds = false
        :: else
        fi
    }
    i = 0
}

inline check_message(m)
{
    needs_are_there(m);
#ifdef NO_NEEDS
    if
    :: sent[m].kind == BATCH -> holds = true
    :: else
    fi;
#endif
#ifdef MEMORY
    if
    :: sent[m].kind == COMPACTION -> holds = true
    :: else
    fi;
#endif
    if
#ifdef EPOCH
    :: sent[m].token == db.epoch && holds && (sent[m].kind == COMPACTION || db.sub[sent[m].seq] == 0) ->
#else
    :: sent[m].token == db.token && holds && (sent[m].kind == COMPACTION || db.sub[sent[m].seq] == 0) ->
#endif
        sent[m].state = CHECKED
    :: else ->
        w = sent[m].owner;
        told = sent[m].awaited;
        let_go(m);
        if
        :: told -> forget(w)
        :: else
        fi
    fi;
    holds = false; told = false; w = 0
}

inline commit_batch(m)
{
    db.sub[sent[m].seq] = sent[m].sub + 1;
    db.at[sent[m].seq] = sent[m].to;
    for (r : 1 .. 3) {
        if
        :: SUB_OF(r) == sent[m].sub && r > sent[m].from && r <= sent[m].to -> db.effects[r] = db.effects[r] + 1
        :: else
        fi
    }
    r = 0
}

inline commit_compaction(m)
{
    if
    :: db.base_seq < sent[m].seq ->
        db.base_seq = sent[m].seq;
        for (i : 0 .. SUBS - 1) { db.base[i] = sent[m].base[i]; }
        for (i : 1 .. SEQS - 1) {
            if
            :: i <= sent[m].seq -> db.sub[i] = 0; db.at[i] = 0
            :: else
            fi
        }
        i = 0
    :: else
    fi
}

/* The owner hears of it when it still listens: now, or the answer is lost with the connection. */
inline hear(m)
{
    w = sent[m].owner;
    if
    :: sent[m].awaited && sent[m].kind == BATCH ->
        owner[w].at[sent[m].sub] = sent[m].to;
        owner[w].last[sent[m].sub] = sent[m].seq
    :: sent[m].awaited && sent[m].kind == COMPACTION -> owner[w].base_seq = sent[m].seq
    :: else
    fi;
    let_go(m);
    w = 0
}

inline lose_answer(m)
{
    losses++;
    w = sent[m].owner;
    let_go(m);
    forget(w);
    w = 0
}

inline commit(m)
{
    if
    :: sent[m].kind == BATCH -> commit_batch(m)
    :: else -> commit_compaction(m)
    fi;
    check()
}

active proctype database()
{
    byte i, r, n, w, reached, by;
    bool holds, told;
end:
    do
    :: d_step { sent[0].state == SENT -> check_message(0); if :: sent[0].state == CHECKED && sent[0].kind == COMPACTION -> commit(0); hear(0) :: else fi }
    :: d_step { sent[1].state == SENT -> check_message(1); if :: sent[1].state == CHECKED && sent[1].kind == COMPACTION -> commit(1); hear(1) :: else fi }
    :: d_step { sent[2].state == SENT -> check_message(2); if :: sent[2].state == CHECKED && sent[2].kind == COMPACTION -> commit(2); hear(2) :: else fi }
    :: d_step { sent[0].state == CHECKED -> commit(0); hear(0) }
    :: d_step { sent[0].state == CHECKED && sent[0].awaited && losses < LOSSES -> commit(0); lose_answer(0) }
    :: d_step { sent[1].state == CHECKED -> commit(1); hear(1) }
    :: d_step { sent[1].state == CHECKED && sent[1].awaited && losses < LOSSES -> commit(1); lose_answer(1) }
    :: d_step { sent[2].state == CHECKED -> commit(2); hear(2) }
    :: d_step { sent[2].state == CHECKED && sent[2].awaited && losses < LOSSES -> commit(2); lose_answer(2) }
    /* With one failover, one moment up to which the replica has everything is enough; before it, it has nothing. */
    :: d_step { !copied && !failed_over -> copied = true; copy_store(replica, db); i = 0 }
    :: d_step { !failed_over ->
        failed_over = true;
        copy_store(db, replica);
        forget_replica();
        /* What had been let through is gone with the old primary; a proxy may bring it to the new one. */
        for (n : 0 .. MESSAGES - 1) {
            if
            :: sent[n].state == CHECKED -> sent[n].state = SENT
            :: else
            fi
        }
        n = 0;
        check() }
    od
}

/* ---- owners ---- */

inline nothing_is_let_through()
{
    holds = true;
    for (m : 0 .. MESSAGES - 1) {
        if
        :: sent[m].state == CHECKED -> holds = false
        :: else
        fi
    }
    m = 0
}

inline take_claim(w)
{
    claims++;
    db.token = claims;
#ifdef EPOCH
    db.epoch++;
#endif
    forget(w);
    owner[w].claimed = true;
#ifdef EPOCH
    owner[w].token = db.epoch;
#else
    owner[w].token = claims;
#endif
    owner[w].base_seq = db.base_seq;
    owner[w].next_seq = db.base_seq + 1;
    for (s : 0 .. SUBS - 1) {
        read_progress(s);
        owner[w].at[s] = reached;
        owner[w].last[s] = by;
    }
    for (i : 1 .. SEQS - 1) {
        if
        :: db.sub[i] != 0 && i >= owner[w].next_seq -> owner[w].next_seq = i + 1
        :: else
        fi
    }
    i = 0; s = 0; reached = 0; by = 0
}

/* A free message, and none of this subpartition in flight. */
inline find_slot(w, s)
{
    slot = MESSAGES;
    for (m : 0 .. MESSAGES - 1) {
        if
        :: sent[m].state == FREE && slot == MESSAGES -> slot = m
        :: sent[m].state != FREE && sent[m].awaited && sent[m].owner == w && sent[m].kind == BATCH && sent[m].sub == s ->
            slot = MESSAGES + 1
        :: else
        fi
    }
    m = 0
}

inline send_batch(w, s, upto)
{
    sent[slot].kind = BATCH;
    sent[slot].owner = w; sent[slot].awaited = true; sent[slot].token = owner[w].token;
    sent[slot].seq = owner[w].next_seq;
    owner[w].next_seq = owner[w].next_seq + 1;
    sent[slot].sub = s;
    sent[slot].from = owner[w].at[s]; sent[slot].to = upto;
    sent[slot].needs[s] = owner[w].last[s];
    sent[slot].state = SENT;
    slot = 0
}

/* The base may move up to below the lowest batch that is open. */
inline find_base(w)
{
    highest = owner[w].next_seq - 1;
#ifndef PAST_OPEN
    for (m : 0 .. MESSAGES - 1) {
        if
        :: sent[m].state != FREE && sent[m].awaited && sent[m].owner == w && sent[m].kind == BATCH && sent[m].seq <= highest ->
            highest = sent[m].seq - 1
        :: else
        fi
    }
    m = 0
#endif
}

/* Offsets as the owner knows them: what is open is not in them. */
inline send_compaction(w)
{
    compactions++;
    sent[slot].kind = COMPACTION;
    sent[slot].owner = w; sent[slot].awaited = true; sent[slot].token = owner[w].token;
    sent[slot].seq = highest;
    for (i : 0 .. SUBS - 1) { sent[slot].base[i] = owner[w].at[i]; sent[slot].needs[i] = owner[w].last[i]; }
    sent[slot].state = SENT;
    i = 0; slot = 0; highest = 0
}

active [OWNERS] proctype worker()
{
    byte i, m, n, s, slot, reached, by, highest;
    bool holds;
    byte w = _pid - 1; /* the database is process 0 */
end:
    do
    :: d_step { !owner[w].claimed && claims < CLAIMS && (claims > 0 || w == 0) ->
        nothing_is_let_through();
#ifdef NO_LOCK
        holds = true;
#endif
        if
        :: holds -> take_claim(w)
        :: else
        fi;
        holds = false }
    :: d_step { owner[w].claimed && owner[w].next_seq < SEQS && owner[w].at[0] < 1 ->
        find_slot(w, 0);
        if
        :: slot < MESSAGES -> send_batch(w, 0, 1)
        :: else -> slot = 0
        fi }
    :: d_step { owner[w].claimed && owner[w].next_seq < SEQS && owner[w].at[0] < 3 ->
        find_slot(w, 0);
        if
        :: slot < MESSAGES -> send_batch(w, 0, 3)
        :: else -> slot = 0
        fi }
    :: d_step { owner[w].claimed && owner[w].next_seq < SEQS && owner[w].at[1] < 2 ->
        find_slot(w, 1);
        if
        :: slot < MESSAGES -> send_batch(w, 1, 2)
        :: else -> slot = 0
        fi }
    :: d_step { owner[w].claimed && compactions < COMPACTIONS ->
        find_slot(w, SUBS);
        find_base(w);
        if
        :: slot < MESSAGES && highest > owner[w].base_seq -> send_compaction(w)
        :: else -> slot = 0; highest = 0
        fi }
    /* The connection is lost: what was sent may yet be done. */
#ifdef NO_CLAIM
    :: d_step { sent[0].awaited && sent[0].owner == w && losses < LOSSES -> losses++; sent[0].awaited = false }
    :: d_step { sent[1].awaited && sent[1].owner == w && losses < LOSSES -> losses++; sent[1].awaited = false }
    :: d_step { sent[2].awaited && sent[2].owner == w && losses < LOSSES -> losses++; sent[2].awaited = false }
#else
    :: d_step { owner[w].claimed && losses < LOSSES -> losses++; forget(w) }
#endif
    od
}
