/* direct_answer.h - what came of a write in a sink, as the client is told that waits for it
 * (record/direct.h). Pure. */
#ifndef LEAT_SINK_DIRECT_ANSWER_H
#define LEAT_SINK_DIRECT_ANSWER_H

#include "record/direct.h"
#include "sink/sink.h"

leat_direct_outcome leat_direct_outcome_of(const leat_engine_job_result *result);
/* A literal, or of `result`; "" where it was applied by this write. */
const char *leat_direct_message_of(const leat_engine_job_result *result);

#endif
