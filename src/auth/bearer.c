/*
 * bearer.c - "Bearer", blanks, the token. The scheme's name may be in any case; what follows is
 * compared as it is, so a token with anything behind it is another token.
 */
#include "auth/bearer.h"

leat_slice leat_bearer_token(leat_slice authorization)
{
    const char *data = authorization.data;
    size_t scheme = 0, at;
    while (scheme < authorization.size && data[scheme] != ' ')
        scheme++;
    for (at = scheme; at < authorization.size && data[at] == ' ';)
        at++;
    if (leat_slice_is_nocase((leat_slice){data, scheme}, "Bearer"))
        return (leat_slice){data + at, authorization.size - at};
    return (leat_slice){"", 0};
}
