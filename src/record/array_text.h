/*
 * array_text.h - a JSON array as PostgreSQL writes arrays: {1,NULL,"a \"b\""}. Strings become
 * quoted elements, numbers and booleans stand as they are, null is NULL, arrays in it are further
 * dimensions.
 */
#ifndef LEAT_RECORD_ARRAY_TEXT_H
#define LEAT_RECORD_ARRAY_TEXT_H

#include <yyjson.h>

#include "base/buf.h"

enum { LEAT_ARRAY_DIMENSIONS_MAX = 6 }; /* PostgreSQL's MAXDIM */

/* Appends the text of `array`, whose numbers are raw. NULL, or what is wrong with it: an object,
 * too many dimensions, arrays of different sizes in one dimension; then what was appended means
 * nothing. */
const char *leat_array_text(yyjson_val *array, leat_buf *out) LEAT_MUST_CHECK;

#endif
