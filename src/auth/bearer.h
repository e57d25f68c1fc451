/* bearer.h - how a request shows a token, and how it is told that it needs one: RFC 6750, in the
 * Authorization header field only. A token in a URL or a form would end in logs. Pure. */
#ifndef LEAT_AUTH_BEARER_H
#define LEAT_AUTH_BEARER_H

#include "base/base.h"

/* The beginning of the header field that goes with 401 and 403. */
#define LEAT_BEARER_CHALLENGE "WWW-Authenticate: Bearer realm=\"leat\""

/* The token in the value of the field. Empty: there is none. */
leat_slice leat_bearer_token(leat_slice authorization);

#endif
