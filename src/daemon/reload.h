/*
 * reload.h - the files that a running process reads again: on SIGHUP, and by itself when one of
 * them has changed. Whoever depends on such a file (tokens, keys, certificates) adds itself here
 * and keeps what it has when its new content is no good.
 *
 * Everything on the loop's thread.
 */
#ifndef LEAT_DAEMON_RELOAD_H
#define LEAT_DAEMON_RELOAD_H

#include <uv.h>

#include "base/base.h"

enum {
    LEAT_RELOAD_READERS_MAX = 8,
    LEAT_RELOAD_FILES_MAX = 4, /* of one reader */
};

/* Reads its files and takes over what they have, or changes nothing and says why (with file and
 * line where there is one): 0, -1. Where another thread takes it over, 0 says that it was good and
 * that the thread was told: that one reads it once more, and logs it if it is no good by then. */
typedef int (*leat_reload_read)(void *context, leat_error *error);

typedef struct leat_reload leat_reload;

/* Looks at the files every `every_ms`. */
leat_reload *leat_reload_new(uv_loop_t *loop, int64_t every_ms);
/* `read` is called when one of the files has changed and since then stood still for one look, and
 * at each request. The names are copied; what the files are now counts as read. */
void leat_reload_add(leat_reload *reload, const char *const *files, uint32_t count,
                     leat_reload_read read, void *context);
/* To be sent from any thread: everything is read again, if there is anything. Its owner is the
 * reload. */
uv_async_t *leat_reload_request(leat_reload *reload);
/* NULL: none. Its memory is freed when the loop has run the closes. */
void leat_reload_free(leat_reload *reload);

#endif
