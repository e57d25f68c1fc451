/* printable.h - text of others as a terminal may see it: what line.h does not take (control
 * characters, marks that turn text around, what is no UTF-8) becomes \xNN. */
#ifndef LEAT_CLI_PRINTABLE_H
#define LEAT_CLI_PRINTABLE_H

#include "base/buf.h"

/* Appends at most `width` characters, "..." at the end when there were more. Returns how many. */
size_t leat_put_printable(leat_buf *out, leat_slice text, size_t width, bool keep_lines);

#endif
