/* same_origin.h - does a request come from the admin listener's own page, or from a program, and
 * not from a page of another site in the browser of somebody who may? Pure. */
#ifndef LEAT_DAEMON_SAME_ORIGIN_H
#define LEAT_DAEMON_SAME_ORIGIN_H

#include "http/http.h"

/* LEAT_HTTP_OK, or the error, and why in `ret_why`. `acts`: it has a body, which must be JSON. */
leat_http_code leat_same_origin(const leat_http_request *request, bool acts, const char **ret_why);

/* Is the host of the request the machine itself or an address? A name may be anybody's, who can let
 * it point here after a browser has loaded a page from it (DNS rebinding): then that page is of the
 * same origin, and may read whatever needs no token. */
bool leat_same_origin_is_address(const leat_http_request *request);

#endif
