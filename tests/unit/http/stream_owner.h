/* stream_owner.h - the owner of one streamed request at a time, whichever protocol brings it: what
 * it has been told, and what it does. Of other requests /whole is read whole and /early answered by
 * its headers. Each test runs in a process of its own. */
#ifndef TESTS_HTTP_STREAM_OWNER_H
#define TESTS_HTTP_STREAM_OWNER_H

#include "world.h"

enum { OWNER_WINDOW = 128 * 1024, OWNER_WRITES_UP_TO = 64 * 1024, OWNER_WRITE_SIZE = 10000 };

typedef struct stream_owner {
    leat_http_request *request; /* streamed; NULL: none, or ended */
    leat_buf body;
    bool keeps;        /* what comes is not taken */
    bool echoes;       /* each piece is answered at once */
    bool abandons;     /* a request whose client has gone is given up at once, */
    bool ends_in_gone; /* or answered */
    bool is_whole;
    bool is_gone;
    uint32_t gone;
    size_t held, held_most;
    size_t to_write, waiting_most; /* of an answer that goes on when there is room */
} stream_owner;

extern stream_owner owner;

/* A world with its hooks, not open yet. */
http_world *owner_world(void);
/* Forgets all that was. */
void owner_reset(void);
/* Answers the request, and ends with it. */
void owner_answer(const char *text);
/* Ends an answer that has begun. */
void owner_end(void);
/* Goes on with `to_write`, and ends the answer with it. */
void owner_write_more(void);

#endif
