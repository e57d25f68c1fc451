/*
 * response.h - one HTTP/1.1 response at the beginning of some bytes. Pure; takes what a leat edge
 * sends and no more: Content-Length bodies, no transfer codings.
 */
#ifndef LOAD_RESPONSE_H
#define LOAD_RESPONSE_H

#include "base/base.h"

typedef struct load_response {
    int status;
    size_t size; /* of head and body */
    leat_slice body;
    bool close; /* "connection: close": the last one on this connection */
} load_response;

typedef enum load_response_state {
    LOAD_RESPONSE_WHOLE,
    LOAD_RESPONSE_PARTIAL,
    LOAD_RESPONSE_BROKEN,
} load_response_state;

/* Interim responses (1xx) are reported like others, without a body. */
load_response_state load_response_read(leat_slice bytes, load_response *ret);

/* The number after "name": in a flat JSON object; -1: there is none. */
int64_t load_json_number(leat_slice body, const char *name);

#endif
