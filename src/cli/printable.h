/* printable.h - text of others as a terminal may see it: control characters and what is no UTF-8 become \xNN. */
#ifndef LEAT_PRINTABLE_H
#define LEAT_PRINTABLE_H

#include "base/buf.h"

/* Appends at most `width` characters, "..." at the end when there were more. Returns how many. */
size_t leat_put_printable(leat_buf *out, leat_slice text, size_t width, bool keep_lines);

#endif
