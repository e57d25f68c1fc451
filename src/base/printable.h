/*
 * printable.h - foreign text in a log line or on a terminal. Texts of clients, brokers, databases
 * and files may contain anything: a newline that forges a line, an escape sequence, a mark that
 * reverses the rest of the line, half a character. This is the one place that makes it harmless;
 * diag.h puts every line through it. Pure.
 */
#ifndef LEAT_BASE_PRINTABLE_H
#define LEAT_BASE_PRINTABLE_H

#include "base/buf.h"

/* Is this character (of leat_utf8_size bytes; 0: not UTF-8) left as it is by the functions
 * below? */
bool leat_is_printable(const char *at, size_t size);

/*
 * For logs. Changes `text` in place and returns its new size, which is never larger: control
 * characters (C0, DEL, C1) and the separators of lines and paragraphs (U+2028, U+2029) become a
 * space each, bidirectional marks and controls and every byte that is not UTF-8 a '?'. A character
 * that is cut at the end is dropped. The result is UTF-8 and one line; a second call leaves it as
 * it is.
 */
size_t leat_printable_line(char *text, size_t size);

/* For terminals. Appends at most `width` characters, "..." at the end when there were more; a
 * character that is not printable becomes \xNN, a newline stays with `keep_lines`. Returns the
 * number of characters. */
size_t leat_buf_printable(leat_buf *out, leat_slice text, size_t width, bool keep_lines);

#endif
