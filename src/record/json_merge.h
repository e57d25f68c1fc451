/*
 * json_merge.h - RFC 7396 merge patches as texts: applied to a value, composed, classified. Of
 * members with one name the last counts, as in jsonb. Numbers go through as they are written.
 *
 * Results are minified and at most `limit` bytes; no larger input is accepted either, so that the
 * work of one call is bounded. One thread.
 */
#ifndef LEAT_RECORD_JSON_MERGE_H
#define LEAT_RECORD_JSON_MERGE_H

#include "record/arena.h"
#include "record/fold.h"

typedef struct leat_json_merger {
    leat_arena *texts;  /* where results live */
    yyjson_alc *memory; /* for the call itself: yyjson_alc_dyn_new() */
    size_t limit;       /* bytes */
} leat_json_merger;

/* The SQL that the patch, a JSON object of any size, needs. Members that a later one of the same
 * name hides count too: the answer may be more than is needed, never less. Returns -1 when out of
 * memory. */
int leat_json_classify(const leat_json_merger *merger, leat_slice patch,
                       leat_merge *ret) LEAT_MUST_CHECK;

/* The patch, a JSON object, applied to `value`: any JSON, or empty where there is none. */
leat_fold_outcome leat_json_apply(const leat_json_merger *merger, leat_slice value,
                                  leat_slice patch, leat_slice *ret) LEAT_MUST_CHECK;

/* The one patch that does to every value what `earlier` and then `later`, both JSON objects, do.
 * There is none where `later` has an object and `earlier` a null or anything but an object: it
 * would have to replace, and patches merge. */
leat_fold_outcome leat_json_compose(const leat_json_merger *merger, leat_slice earlier,
                                    leat_slice later, leat_slice *ret,
                                    leat_merge *ret_merge) LEAT_MUST_CHECK;

#endif
