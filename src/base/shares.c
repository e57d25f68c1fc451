/*
 * shares.c - the arithmetic of shares.h. Only the part of a user's amount that exceeds its own
 * share counts as lent, so taking and giving in any order come to the same sums. A user that holds
 * nothing is exempt from fairness, or a record larger than its share could never pass.
 */
#include "base/shares.h"

void leat_shares_init(leat_shares *shares, uint64_t limit, uint64_t users)
{
    uint64_t own = users > 1 ? limit / 2 / users : limit;
    LEAT_ASSERT(users > 0);
    uint64_t divided = users > 1 ? own * users : limit;
    *shares = (leat_shares){.limit = limit, .own = own, .pool = limit - divided};
}

static uint64_t borrowed(const leat_shares *shares, uint64_t mine)
{
    return mine > shares->own ? mine - shares->own : 0;
}

bool leat_shares_take(leat_shares *shares, uint64_t *mine, uint64_t amount)
{
    LEAT_ASSERT(shares->used <= shares->limit && *mine <= shares->used);
    uint64_t after = borrowed(shares, *mine + amount);
    uint64_t more = after - borrowed(shares, *mine);
    uint64_t left = shares->lent < shares->pool ? shares->pool - shares->lent : 0;
    bool fits = amount <= shares->limit - shares->used;
    bool is_fair = *mine == 0 || more == 0 || (more <= left && after <= left - more);
    if (!fits || !is_fair)
        return false;
    *mine += amount;
    shares->used += amount;
    shares->lent += more;
    return true;
}

void leat_shares_give(leat_shares *shares, uint64_t *mine, uint64_t amount)
{
    LEAT_ASSERT(*mine >= amount);
    uint64_t less = borrowed(shares, *mine) - borrowed(shares, *mine - amount);
    LEAT_ASSERT(shares->used >= amount && shares->lent >= less);
    *mine -= amount;
    shares->used -= amount;
    shares->lent -= less;
}
