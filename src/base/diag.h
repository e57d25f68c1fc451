/*
 * diag.h - what the process says to its operator: one line an event on standard error, key=value,
 * made harmless by printable.h. Any thread may call; a line is written by one write(2). Where
 * nobody reads standard error any more, lines are lost rather than waited for, and counted. Never
 * give it a secret: DSNs are named, not shown.
 */
#ifndef LEAT_BASE_DIAG_H
#define LEAT_BASE_DIAG_H

#include "base/base.h"

typedef enum leat_level { LEAT_DEBUG, LEAT_INFO, LEAT_WARN, LEAT_ERROR } leat_level;

/* Lines below `level` are dropped. Called once, before other threads start. */
void leat_diag_level(leat_level level);
bool leat_diag_parse_level(const char *name, leat_level *ret_level);
void leat_diag(leat_level level, const char *format, ...) LEAT_PRINTF(2, 3);
/* What a command says before it fails: a line without time and level. */
void leat_complain(const char *format, ...) LEAT_PRINTF(1, 2);

#define leat_debug(...) leat_diag(LEAT_DEBUG, __VA_ARGS__)
#define leat_info(...)  leat_diag(LEAT_INFO, __VA_ARGS__)
#define leat_warn(...)  leat_diag(LEAT_WARN, __VA_ARGS__)
#define leat_err(...)   leat_diag(LEAT_ERROR, __VA_ARGS__)

#endif
