/*
 * culprits.h - who is to blame for a shard's lag: the records that hold low waters, the heaviest
 * tenants and keys, and the alert that goes with them. Plain data of a fixed size, so that a worker
 * hands it over under a lock and never waits for a reader; pure.
 *
 * As JSON, four lists: "partitions", "tenants", "keys", "alerts". ASCII only, for any database
 * encoding. A member that is not known is null.
 */
#ifndef LEAT_APPLY_CULPRITS_H
#define LEAT_APPLY_CULPRITS_H

#include "apply/blame.h"
#include "base/buf.h"

enum {
    LEAT_CULPRITS_PARTITIONS = 16,
    LEAT_CULPRITS_SHARES = 8,  /* tenants, and as many keys */
    LEAT_CULPRITS_HOLDERS = 4, /* of these: tenants that are there only since they hold a low water
                                */
    LEAT_CULPRIT_TEXT_SIZE = 96,
    LEAT_CULPRIT_REASON_SIZE = 128,
    LEAT_CULPRIT_ALERT_SIZE = 640,
};

/* The record that holds a partition's low water. */
typedef struct leat_culprit_record {
    uint32_t partition;
    int64_t low; /* everything up to it is applied or parked */
    int64_t offset;
    int64_t accepted_ms; /* 0: not known */
    int64_t since_ms;    /* since when it is so: in memory, tried in vain, ... */
    uint32_t attempts;
    char sqlstate[6]; /* of the last attempt; "": none */
    char reason[LEAT_CULPRIT_REASON_SIZE];
    char tenant[LEAT_CULPRIT_TEXT_SIZE]; /* cut; "": none, or not known */
    char key[LEAT_CULPRIT_TEXT_SIZE];    /* likewise */
} leat_culprit_record;

/* What a tenant or a key takes of the shard, over about the last minute: an estimate from a sample
 * of the records (blame.h). */
typedef struct leat_culprit_share {
    uint64_t name; /* hash of the whole text */
    char text[LEAT_CULPRIT_TEXT_SIZE];
    double records;    /* applied */
    double per_s;      /* likewise */
    double database_s; /* time of the database */
    double waited_s;   /* from accepted to applied, of its records together */
    int64_t oldest_ms; /* accept time of its oldest record that holds a low water; 0: it has none */
} leat_culprit_share;

/* The first is the leader by database time, if anybody took some; then come the leader by records,
 * the leader by time waited, the holders (the oldest first), and the rest by database time. Whoever
 * leads by two measures has one row. */
typedef struct leat_culprit_shares {
    uint32_t count;    /* up to LEAT_CULPRITS_SHARES */
    double database_s; /* of everybody, also of those that have no row */
    leat_culprit_share rows[LEAT_CULPRITS_SHARES + 1]; /* the last is for the one that is added */
} leat_culprit_shares;

typedef struct leat_culprits {
    uint32_t partition_count;
    /* Those that were tried in vain, then the others; of each the oldest first. */
    leat_culprit_record partitions[LEAT_CULPRITS_PARTITIONS];
    leat_culprit_shares tenants, keys;
    bool is_alert;
    int64_t alert_since_ms;
    char alert[LEAT_CULPRIT_ALERT_SIZE]; /* one sentence for people */
} leat_culprits;

/* Keeps the first ones of that order. */
void leat_culprits_add_record(leat_culprits *to, const leat_culprit_record *record);
/* A tenant that holds a low water is among the culprits, however little it writes: the oldest
 * LEAT_CULPRITS_HOLDERS are. An empty one is none. */
void leat_culprits_add_holder(leat_culprits *to, leat_slice tenant, int64_t accepted_ms);
/* Takes the heaviest of each kind, of `blame` as it is at its last leat_blame_pass; once. */
void leat_culprits_add_blame(leat_culprits *to, const leat_blame *blame);
/* Those of another worker of the same shard: what both know of a tenant or a key is added up. */
void leat_culprits_add(leat_culprits *to, const leat_culprits *from);
/* Says what is known of whoever is most likely to blame: for the alert, after the message. */
void leat_culprits_describe(const leat_culprits *culprits, int64_t now_ms, char *ret, size_t size);

/* The lists of shards, one after the other. */
typedef struct leat_culprits_text {
    leat_buf partitions, tenants, keys, alerts; /* elements with commas between them */
} leat_culprits_text;
/* At most `most` rows of each kind, the first ones. */
void leat_culprits_write(const leat_culprits *culprits, const char *shard, int64_t now_ms,
                         uint32_t most, leat_culprits_text *out);
/* The whole object. */
void leat_culprits_join(const leat_culprits_text *text, leat_buf *out);
void leat_culprits_text_free(leat_culprits_text *text);

/* Puts the text into `ret` as UTF-8 and cut. */
void leat_culprit_text(char ret[LEAT_CULPRIT_TEXT_SIZE], leat_slice text);

#endif
