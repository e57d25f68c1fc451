/*
 * target.h - where the writes go. Each runs until load_run_over, or says why it cannot.
 */
#ifndef LOAD_TARGET_H
#define LOAD_TARGET_H

#include "load/run.h"

/* Requests to an edge, over connections that are kept alive. */
int load_http_run(load_run *run, leat_error *error) LEAT_MUST_CHECK;
/* Records straight into the topic, placed by the catalog file as an edge would place them. */
int load_kafka_run(load_run *run, leat_error *error) LEAT_MUST_CHECK;

/* How many writes may be without an answer. */
uint32_t load_http_outstanding(const load_options *options);
uint32_t load_kafka_outstanding(const load_options *options);

#endif
