/*
 * dead_letter.h - a record that is refused for good as a row of leat.dead_letters. Pure. Whatever
 * the record contains, the row can be stored: otherwise it could neither be applied nor given up.
 */
#ifndef LEAT_SINK_PG_DEAD_LETTER_H
#define LEAT_SINK_PG_DEAD_LETTER_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/pg/params.h"

extern const char leat_dead_letter_sql[];
/* For a record that a control has skipped; two parameters more: the control's number, and how many
 * of its letters are kept. */
extern const char leat_keep_skipped_sql[];

/* The parameters of that statement. The record is kept as it came: key and body as bytes; route and
 * operation if they are text or, where the record does not have them but they are known, as leat
 * assumed them. `record`: its payload is a leat_item, decoded or not. */
void leat_dead_letter_params(leat_pg_params *params, int32_t source_id,
                             const leat_engine_batch_record *record,
                             const leat_engine_reason *reason);

#endif
