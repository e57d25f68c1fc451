/*
 * top_fetch.h - asks the admin listeners of several processes what they do, all at once: /state,
 * and those that apply for /culprits. One that does not answer keeps what it said last, and its
 * error. One thread.
 */
#ifndef LEAT_CLI_TOP_FETCH_H
#define LEAT_CLI_TOP_FETCH_H

#include <yyjson.h>

#include "cli/commands.h"

enum { LEAT_TOP_SOURCES_MAX = LEAT_ADMINS_MAX };

typedef struct leat_top_source {
    const char *url;      /* "http://127.0.0.1:9464" */
    yyjson_doc *state;    /* what it said last; NULL: it has not answered yet */
    yyjson_doc *culprits; /* NULL: likewise, or it applies nothing */
    leat_error error;     /* empty: it has answered the last question */
} leat_top_source;

typedef struct leat_top_sources {
    uint32_t count;
    leat_top_source sources[LEAT_TOP_SOURCES_MAX];
    const char *token; /* NULL: none */
} leat_top_sources;

/* What goes on while processes are asked: called a few times a second, and at once while something
 * can be read from standard input, which it must read. False: they are asked no more; it must say
 * so again if it is called again. */
typedef struct leat_top_meanwhile {
    bool (*go_on)(void *context);
    void *context;
} leat_top_meanwhile;

/* Returns when all have answered, or have not for three seconds. `also` may be NULL. */
void leat_top_fetch(leat_top_sources *all, const leat_top_meanwhile *also);
void leat_top_sources_fini(leat_top_sources *all);

#endif
