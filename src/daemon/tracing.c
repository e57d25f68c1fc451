/*
 * tracing.c - the tracer of a process that serves, made from the group `tracing`: without it there
 * is none, and edge and workers make no spans.
 */
#include <stdlib.h>

#include "config/text.h"
#include "daemon/daemon_state.h"

int leat_daemon_make_tracer(leat_daemon *daemon, leat_error *error)
{
    const leat_config *from = &daemon->assembly.config;
    if (!from->trace_endpoint)
        return 0;
    leat_tracer_header *headers =
        leat_must_calloc((size_t)from->trace_header_count + 1, sizeof *headers);
    for (uint32_t i = 0; i < from->trace_header_count; i++)
        headers[i] =
            (leat_tracer_header){from->trace_headers[i].name, from->trace_headers[i].value};
    leat_tracer_config config = {
        .endpoint = from->trace_endpoint,
        .service = from->trace_service,
        .sample = leat_text_fraction(from->trace_sample),
        .forced_per_second = (uint32_t)from->trace_forced_per_second,
        .queue = (uint32_t)from->trace_queue,
        .headers = headers,
        .header_count = from->trace_header_count,
        .metrics = daemon->metrics,
    };
    daemon->tracer = leat_tracer_new(&config, error);
    free(headers);
    return daemon->tracer ? leat_tracer_start(daemon->tracer, error) : -1;
}
