/*
 * base64.h - bytes as text, RFC 4648 section 4: the standard alphabet, padded. Only the canonical
 * spelling is accepted (the unused bits of the last character are 0), so that equal bytes are equal
 * texts.
 */
#ifndef LEAT_RECORD_BASE64_H
#define LEAT_RECORD_BASE64_H

#include "base/buf.h"

bool leat_base64_check(leat_slice text);
/* For a text that passed the check: the number of its bytes, and the bytes themselves, appended. */
size_t leat_base64_size(leat_slice text);
void leat_base64_decode(leat_slice text, leat_buf *out);
void leat_base64_encode(leat_slice bytes, leat_buf *out);
/* Order of the bytes of two checked texts, a prefix before its continuations: negative, 0,
 * positive. */
int leat_base64_compare(leat_slice a, leat_slice b);

#endif
