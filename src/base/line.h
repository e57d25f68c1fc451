/*
 * line.h - text of others in a line of a log or of a terminal. What clients, brokers, databases and
 * files say may hold anything: a newline that forges a line, an escape sequence, a mark that turns
 * the rest of the line around, half a character. This is the one place that makes it harmless;
 * diag.h puts every line through it.
 */
#ifndef LEAT_BASE_LINE_H
#define LEAT_BASE_LINE_H

#include "base/base.h"

/*
 * Changes `text` in place and returns its new size, which is never larger: control characters (C0,
 * DEL, C1) and the separators of lines and paragraphs (U+2028, U+2029) become a space each,
 * bidirectional marks and controls and every byte that is no UTF-8 a '?'. A character that is cut
 * at the end is dropped. What is left is UTF-8 and one line; done again it stays as it is.
 */
size_t leat_line_clean(char *text, size_t size);
/* Would it leave this character (of leat_utf8_size bytes; 0: it is none) as it is? */
bool leat_line_takes(const char *at, size_t size);

#endif
