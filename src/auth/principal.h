/* principal.h - who a token stands for. */
#ifndef LEAT_AUTH_PRINCIPAL_H
#define LEAT_AUTH_PRINCIPAL_H

#include "base/buf.h"

typedef struct leat_principal {
    uint64_t number;   /* limits know it by this: of the file's token by its name; of a JWT by its
                          subject and tenant, without a subject by itself */
    int64_t expires_s; /* since 1970; INT64_MAX: never */
    leat_slice name;   /* of the token in its file; of a JWT its subject */
    leat_slice tenant; /* the only one that it may write, not percent-encoded; empty: any */
    leat_slice scopes; /* scopes.h */
    leat_buf text;     /* the slices are in it, or, where it is empty, somebody else's */
} leat_principal;

#endif
