/*
 * options.h - what the command line of leat-load asks for.
 */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include "record/route.h"

typedef struct load_options {
    /* the target: an edge, or the topic itself */
    char host[256];
    int port; /* 0: no --url */
    const char *brokers;
    const char *topic;
    const char *catalog;
    const char *route; /* header of records; NULL: none */
    bool allow_remote;

    /* how much */
    uint64_t records; /* UINT64_MAX: --seconds ends it */
    double seconds;   /* 0: --records ends it */
    double rate;      /* 0: as fast as it goes */
    uint32_t connections;
    uint32_t depth;     /* requests of one connection without an answer */
    uint32_t in_flight; /* Kafka: records without an answer */

    /* which writes */
    const struct load_profile *profile;
    const char *path, *table, *tenant, *body; /* NULL: the profile's */
    uint32_t columns, bytes;                  /* of a body of the profile `columns` */
    uint64_t keys;
    uint64_t apps;
    double zipf;                       /* 0: uniform */
    uint32_t mix[LEAT_ROUTE_OP_COUNT]; /* shares of put, patch, delete */
    uint64_t seed;
    uint64_t first_seq;

    /* answers */
    bool retry_unknown;
    int64_t retry_delay_us;
    int64_t timeout_us;
    int64_t give_up_us;
    const char *history;
    bool json;
    bool quiet;
} load_options;

typedef enum load_parsed { LOAD_RUN, LOAD_HELPED, LOAD_WRONG } load_parsed;

/* LOAD_HELPED: --help was printed. LOAD_WRONG: `error` says why. */
load_parsed load_options_parse(load_options *options, int argc, char **argv,
                               leat_error *error) LEAT_MUST_CHECK;

#endif
