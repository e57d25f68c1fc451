/*
 * prefer.h - the preference `wait` of RFC 7240: how long a client would wait for an answer that
 * says more than that its write was accepted.
 */
#ifndef LEAT_EDGE_PREFER_H
#define LEAT_EDGE_PREFER_H

#include "http/http.h"

/* Seconds, 0 or more, at most INT32_MAX; -1: there is no such preference, or none that can be read.
 * `line` is the value of one header line; -2: this one does not name it. */
int64_t edge_prefer_read(leat_slice line);
/* Of all lines of the request; the first that names it counts. */
int64_t edge_prefer_wait(const leat_http_request *request);

#endif
