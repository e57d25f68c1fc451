/*
 * base64url.h - bytes as text in the alphabet for URLs, without padding (RFC 4648 section 5, as RFC
 * 7515 uses it). Only the canonical spelling is read: no '=', no blanks, no bits left over that are
 * not zero. Otherwise one signature would have several spellings. Pure.
 */
#ifndef LEAT_BASE_BASE64URL_H
#define LEAT_BASE_BASE64URL_H

#include "base/buf.h"

/* Appends the bytes. False: it is not canonical, or there is no memory; `out` is as it was. */
bool leat_base64url_decode(leat_slice text, leat_buf *out) LEAT_MUST_CHECK;
void leat_base64url_encode(leat_slice bytes, leat_buf *out);

/* For texts of a fixed form, which need no buffer: the 64 digits, and the value of one; -1: it is
 * none. */
extern const char leat_base64url_digits[];
int leat_base64url_value(char c);

#endif
