/*
 * check.h - `leat check`: its rows, the state they share, and their findings.
 */
#ifndef LEAT_CLI_CHECK_H
#define LEAT_CLI_CHECK_H

#include <stdio.h>

#include "cli/with_assembly.h"
#include "sink/shard.h"

typedef enum leat_check_verdict {
    LEAT_CHECK_OK,
    LEAT_CHECK_WARNING,
    LEAT_CHECK_FAILED,
    LEAT_CHECK_SKIPPED
} leat_check_verdict;

typedef struct leat_finding {
    const char *check; /* its name */
    const char *shard; /* NULL: of no shard */
    leat_check_verdict verdict;
    char what[1024];
    const char *why;    /* a warning or failure matters, and ... */
    const char *remedy; /* ... what to do about it */
    char *exact;        /* what to do about just this, in lines; NULL: `remedy`. Owned: malloc */
} leat_finding;

/* The answers of the log and the shards so far: later checks use them. */
typedef struct leat_examination {
    leat_assembly *assembly; /* the tables of a shard: assembly->versions */
    bool has_brokers;
    bool has_topic;
    bool answers[LEAT_SHARDS_MAX];
    bool takes_writes[LEAT_SHARDS_MAX];
    leat_shard_self selves[LEAT_SHARDS_MAX];    /* of those that were read so far */
    leat_shard_server servers[LEAT_SHARDS_MAX]; /* of those that answer */
    leat_finding *findings;
    uint32_t count;
} leat_examination;

typedef enum leat_check_need {
    LEAT_NEEDS_NOTHING,
    LEAT_NEEDS_BROKERS,
    LEAT_NEEDS_TOPIC,
    LEAT_NEEDS_SHARD,   /* that answers ... */
    LEAT_NEEDS_PRIMARY, /* ... and takes writes ... */
    LEAT_NEEDS_TABLES,  /* ... and whose tables fit the routes */
} leat_check_need;

/* A check of something that is not configured is left out. */
typedef enum leat_check_subject {
    LEAT_ABOUT_PROCESS,
    LEAT_ABOUT_AUTH,
    LEAT_ABOUT_TLS,
    LEAT_ABOUT_KAFKA,
    LEAT_ABOUT_LOCAL_LOG,
    LEAT_ABOUT_ANY_SHARD,
    LEAT_ABOUT_POSTGRES,
    LEAT_ABOUT_LIVE_ROUTES, /* mode: live; all shards are PostgreSQL then */
} leat_check_subject;

typedef struct leat_check {
    const char *name;
    leat_check_subject subject;
    leat_check_need need;
    /* Sets verdict and what; may set `exact`, and another `why` and `remedy`. */
    void (*run)(leat_examination *about, uint32_t shard, leat_finding *ret);
    const char *why;
    const char *remedy;
} leat_check;

typedef struct leat_check_list {
    const leat_check *rows;
    uint32_t count;
} leat_check_list;

/* The first two run once, the others for each shard; all in the order of their rows. */
extern const leat_check_list leat_checks_of_machine, leat_checks_of_log, leat_checks_of_server,
    leat_checks_of_schema;

const leat_config_shard *leat_examined_shard(const leat_examination *about, uint32_t shard);
leat_shard_address leat_examined_address(const leat_examination *about, uint32_t shard);

/* A text that does not fit is cut; it becomes one line. */
void leat_finding_set(leat_finding *ret, leat_check_verdict verdict, const char *format, ...)
    LEAT_PRINTF(3, 4);
/* A failure. */
void leat_finding_set_error(leat_finding *ret, const leat_error *error);

/* The remedy for exactly this `what` of the check, for `role` of the shard ("": not known): malloc.
 * NULL: there is none more exact than the check's own. */
char *leat_remedy_of(const char *check, const char *what, const char *role);

/* Is it a warning or a failure? Only these have a remedy. */
bool leat_finding_is_fault(const leat_finding *finding);
uint32_t leat_findings_count(const leat_finding *findings, uint32_t count,
                             leat_check_verdict verdict);
/* A line each, two more under a warning or failure, and a last one with the counts. */
void leat_findings_print_text(FILE *out, const leat_finding *findings, uint32_t count);
/* One object on one line. */
void leat_findings_print_json(FILE *out, const leat_finding *findings, uint32_t count);

#endif
