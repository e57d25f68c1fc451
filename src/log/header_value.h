/* header_value.h - the value of a record's header in JSON, by the rule of leat_log_headers. Not for
 * use outside src/log. */
#ifndef LEAT_LOG_HEADER_VALUE_H
#define LEAT_LOG_HEADER_VALUE_H

#include "base/buf.h"

/* NULL: the header has no value. */
void leat_log_write_header_value(leat_buf *out, const void *value, size_t size);

#endif
