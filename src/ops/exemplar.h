/*
 * exemplar.h - the trace of one value of a histogram, shown beside the bucket that the value is in,
 * so that a person gets from "some took ten seconds" to one that did. One thread writes it, any
 * reads it, and gets all of one or nothing.
 */
#ifndef LEAT_OPS_EXEMPLAR_H
#define LEAT_OPS_EXEMPLAR_H

#include <stdatomic.h>

#include "base/base.h"

/* Zeroed: there is none. */
typedef struct leat_exemplar {
    _Atomic uint32_t version; /* odd: it is being written */
    _Atomic uint64_t trace[2];
    _Atomic int64_t value;
} leat_exemplar;

/* A value of less than 0 counts as 0. */
void leat_exemplar_write(leat_exemplar *exemplar, int64_t value, const uint8_t trace_id[16]);
/* False: there is none, or it is being written. `ret_trace`: 32 hexadecimal digits. */
bool leat_exemplar_read(const leat_exemplar *exemplar, int64_t *ret_value, char ret_trace[33]);

#endif
