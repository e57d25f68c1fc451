/* same_origin.h - does a request come from the admin listener's own page, or from a program, and
 * not from a page of another site in the browser of somebody who may? Pure. */
#ifndef LEAT_DAEMON_SAME_ORIGIN_H
#define LEAT_DAEMON_SAME_ORIGIN_H

#include "http/http.h"

/* LEAT_HTTP_OK, or the error, and why in `ret_why`. `acts`: it has a body, which must be JSON. */
leat_http_code leat_same_origin(const leat_http_request *request, bool acts, const char **ret_why);

#endif
