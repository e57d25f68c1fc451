/* loop.h - the end of a libuv loop. */
#ifndef LEAT_BASE_LOOP_H
#define LEAT_BASE_LOOP_H

#include <uv.h>

#include "base/base.h"

static inline void leat_loop_close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Closes every handle that is still open (no callback is called for it), runs the loop until all
 * closes are done, and closes it. */
static inline void leat_loop_end(uv_loop_t *loop)
{
    uv_walk(loop, leat_loop_close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(loop);
    LEAT_ASSERT(status == 0);
}

#endif
