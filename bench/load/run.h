/*
 * run.h - one run of the load: paces the writes, keeps those without an answer, sends refused ones
 * again, counts answers and writes them down. Targets (http.c, kafka.c) take writes from here and
 * give answers back.
 *
 * Everything happens on one thread. Time comes from leat_mono_us().
 */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include <stdio.h>

#include "lib/hist.h"
#include "load/workload.h"

enum { LOAD_STATUS_MAX = 600, LOAD_ERRORS_MAX = 8 };

/* The last word about one sending of a write. */
typedef struct load_answer {
    int status;        /* of HTTP; Kafka: 202 for stored; 0: none, see `error` */
    int64_t partition; /* -1: not known */
    int64_t offset;
    const char *error; /* no answer, so whether it was stored is unknown: in words, static */
    bool refused;      /* with `error`: certainly not stored */
} load_answer;

typedef struct load_stats {
    uint64_t sent;    /* writes; a repetition is not counted again */
    uint64_t acked;   /* 2xx */
    uint64_t refused; /* certainly not stored */
    uint64_t unknown; /* perhaps stored: 504, or no answer */
    uint64_t retries;
    uint64_t statuses[LOAD_STATUS_MAX];
    struct {
        const char *error;
        uint64_t count;
    } errors[LOAD_ERRORS_MAX];
    hist latency;   /* acked writes, from their last sending */
    hist scheduled; /* acked writes, from when the rate wanted them sent: what a steady stream of
                       clients would see */
    hist second;    /* `latency` since the last line of progress */
    uint64_t acked_before;
} load_stats;

typedef struct load_run {
    const load_options *options;
    workload workload;
    load_stats stats;
    FILE *history;
    load_write *writes; /* as many as may be without an answer */
    uint32_t write_count;
    uint32_t out; /* taken from `idle` */
    load_write *idle;
    load_write *retry_first, *retry_last; /* by retry_us, as the delay is the same for all */
    uint64_t issued;
    bool stopping;       /* nothing new; what is out still gets its answers */
    const char *failure; /* why the run was given up; NULL: it was not */
    int64_t start_us, end_us, last_answer_us, last_line_us;
} load_run;

int load_run_init(load_run *run, const load_options *options, uint32_t outstanding_max,
                  leat_error *error) LEAT_MUST_CHECK;
void load_run_fini(load_run *run);

/* A write to send now, NULL when none is due. It must come back by load_run_answer or
 * load_run_put_back. */
load_write *load_run_take(load_run *run, int64_t now_us);
/* Could not be sent at all: it is the next to be taken. */
void load_run_put_back(load_run *run, load_write *write);
void load_run_answer(load_run *run, load_write *write, const load_answer *answer, int64_t now_us);
/* Counts an error that is of no write, as a connection that was refused. `error` lives as long as
 * the run. */
void load_run_error(load_run *run, const char *error);

/* Ends what is due to end and shows progress once a second. */
void load_run_tick(load_run *run, int64_t now_us);
/* Nothing is out, nothing will come; or the run was given up. */
bool load_run_over(const load_run *run);
void load_run_stop(load_run *run);
/* After a run was given up: writes that waited to be sent again get their last word. */
void load_run_abandon(load_run *run);

/* To `out`: JSON or words, as the options say. */
void load_run_summary(const load_run *run, FILE *out);

#endif
