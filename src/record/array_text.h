/*
 * array_text.h - a JSON array as PostgreSQL writes arrays: {1,NULL,"a \"b\""}. Strings become
 * quoted elements, numbers and booleans stay as they are, null is NULL, nested arrays are further
 * dimensions.
 */
#ifndef LEAT_RECORD_ARRAY_TEXT_H
#define LEAT_RECORD_ARRAY_TEXT_H

#include <yyjson.h>

#include "base/buf.h"

enum { LEAT_ARRAY_DIMENSIONS_MAX = 6 }; /* PostgreSQL's MAXDIM */

/* Appends the text of `array`, whose numbers are raw. Returns NULL, or the fault: an object, too
 * many dimensions, arrays of different sizes in one dimension; then the appended text means
 * nothing. */
const char *leat_array_text(yyjson_val *array, leat_buf *out) LEAT_MUST_CHECK;

#endif
