/* shifted_clock.c - leat on a machine whose clock is LEAT_CLOCK_SHIFT_S seconds ahead (negative:
 * behind). */
#include <stdlib.h>

#include "base/base.h"

int64_t __real_leat_wall_ms(void);
int64_t __wrap_leat_wall_ms(void);

int64_t __wrap_leat_wall_ms(void)
{
    const char *shift = getenv("LEAT_CLOCK_SHIFT_S");
    return __real_leat_wall_ms() + (shift ? strtoll(shift, NULL, 10) * 1000 : 0);
}
