/*
 * text_url.c - the address of a service that speaks HTTP. libcurl would take much more; what it
 * takes without a person having meant it is refused at start.
 */
#include <string.h>

#include "config/text.h"

/* A user in it would be shown by messages. */
int leat_text_check_url(const char *text, leat_error *error)
{
    size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    const char *rest = text + scheme;
    size_t host = strcspn(rest, "/");
    if (scheme == 0 || host == 0)
        return leat_fail(error, "is not a URL of http or https");
    if (memchr(rest, '@', host))
        return leat_fail(error, "has a user in it");
    if (strpbrk(text, " \t\r\n\"<>"))
        return leat_fail(error, "has a character in it that no URL has");
    return rest[host] ? 0 : leat_fail(error, "has no path");
}
