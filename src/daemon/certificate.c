/* certificate.c - two lines of the log, so that each can be searched for. */
#include "daemon/certificate.h"

#include <inttypes.h>

#include "base/diag.h"

leat_certificate_state leat_certificate_judge(int64_t expires_s, int64_t now_s)
{
    int64_t left_s = expires_s - now_s;
    return left_s <= 0                        ? LEAT_CERTIFICATE_HAS_ENDED
           : left_s < LEAT_CERTIFICATE_SOON_S ? LEAT_CERTIFICATE_ENDS_SOON
                                              : LEAT_CERTIFICATE_LASTS;
}

void leat_certificate_tell(const char *file, int64_t expires_s, int64_t now_s, leat_gauge *gauge)
{
    static const char advice[] = "renew it: the new files are read by themselves";
    leat_certificate_state state = leat_certificate_judge(expires_s, now_s);
    leat_gauge_set(gauge, expires_s * 1000);
    if (state == LEAT_CERTIFICATE_HAS_ENDED)
        leat_err("certificate has expired, and clients refuse to connect file=%s left_s=%" PRId64
                 " advice=\"%s\"",
                 file, expires_s - now_s, advice);
    else if (state == LEAT_CERTIFICATE_ENDS_SOON)
        leat_warn("certificate expires soon file=%s left_s=%" PRId64 " advice=\"%s\"", file,
                  expires_s - now_s, advice);
}
