/* flight.c - the rule of flight.h. */
#include "log/kafka/flight.h"

static bool lingers(const leat_flight *flight, int64_t linger_us, int64_t now_us)
{
    return flight->count > 0 && now_us < flight->begun_us + linger_us;
}

int64_t leat_flight_takes_us(const leat_flight *flight)
{
    return flight->begun_us + (flight->count < LEAT_FLIGHT_MAX ? 0 : LEAT_FLIGHT_WAIT_US);
}

bool leat_flight_takes(const leat_flight *flight, int64_t linger_us, int64_t now_us)
{
    return lingers(flight, linger_us, now_us) || now_us >= leat_flight_takes_us(flight);
}

void leat_flight_give(leat_flight *flight, int64_t linger_us, int64_t now_us)
{
    LEAT_ASSERT(flight->count < UINT32_MAX && now_us >= flight->begun_us);
    if (!lingers(flight, linger_us, now_us))
        flight->begun_us = now_us;
    flight->count++;
}

void leat_flight_end(leat_flight *flight)
{
    LEAT_ASSERT(flight->count > 0);
    flight->count--;
}
