/*
 * scopes.h - what somebody may do, as a text: words with blanks or commas between them, each
 * ROUTE:OPERATION. ROUTE is the name of a route, OPERATION is put, patch or delete, and * stands
 * for all: "users:put", "users:*", "*:patch", "*:*". The colon is always there, so the scopes that
 * other services put into the same token ("openid", "email") never mean a route of that name. Pure.
 */
#ifndef LEAT_AUTH_SCOPES_H
#define LEAT_AUTH_SCOPES_H

#include "base/base.h"

/* Is there a scope of this route and operation? Words of another form mean nothing. */
bool leat_scopes_allow(leat_slice scopes, leat_slice route, leat_slice operation);
/* For a list that is leat's alone, where such a word is a mistake: -1, and the message names it. */
int leat_scopes_check(leat_slice scopes, leat_error *error) LEAT_MUST_CHECK;
/* The first scope whose route is none of these, and not *; empty: there is none. */
leat_slice leat_scopes_without_route(leat_slice scopes, const char *const *routes,
                                     uint32_t route_count);

#endif
