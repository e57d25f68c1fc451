/*
 * send_line.h - the items of `leat send` as text: one from a line, its key, and its row.
 */
#ifndef LEAT_CLI_SEND_LINE_H
#define LEAT_CLI_SEND_LINE_H

#include "cli/send_source.h"

/* Hashes a path without its query: where the tenant stands in the body, a DELETE of the same row
 * has it in the query instead. */
uint64_t leat_send_row_of(leat_slice path);
/* Gives an item, an object, the key `PREFIX-LINE`: the same for the same line, however often it is
 * sent. `null_at`: where its text has a null for the key; 0: it does not have the member. `prefix`
 * NULL: it stays as it is. */
void leat_send_item_key(leat_send_item *item, const char *prefix, size_t null_at);
/* A line of JSON as an item, whose `line` is set. {"status":...,"item":{...}} is one that an
 * earlier run kept, and may be applied if that is what the status says. One that is an object
 * without a key gets one. What is no item at all is taken as it is: the edge says what is wrong
 * with it. */
void leat_send_line_item(leat_slice line, const char *prefix, leat_send_item *ret);

#endif
