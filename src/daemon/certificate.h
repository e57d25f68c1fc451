/*
 * certificate.h - how long the edge's certificate lasts. Whoever has to renew it hears of it before
 * clients do: by a metric, a line of the log at a start and whenever it is read again, and `leat
 * check`.
 */
#ifndef LEAT_DAEMON_CERTIFICATE_H
#define LEAT_DAEMON_CERTIFICATE_H

#include "ops/metrics.h"

enum { LEAT_CERTIFICATE_SOON_S = 14 * 24 * 60 * 60 };

typedef enum leat_certificate_state {
    LEAT_CERTIFICATE_LASTS,
    LEAT_CERTIFICATE_ENDS_SOON, /* within LEAT_CERTIFICATE_SOON_S */
    LEAT_CERTIFICATE_HAS_ENDED, /* clients refuse to connect */
} leat_certificate_state;

/* Both in Unix time. */
leat_certificate_state leat_certificate_judge(int64_t expires_s, int64_t now_s);
/* Sets the gauge, in ms, and logs what a person has to do, if anything. */
void leat_certificate_tell(const char *file, int64_t expires_s, int64_t now_s, leat_gauge *gauge);

#endif
