/*
 * Decimal literals of any length, handled as digits: they never become a C number, because
 * PostgreSQL keeps up to 147455 digits and a client's literal must arrive as it was written. `span`
 * marks the significant digits; sums and rounding, which folding needs, work on at most 38 digits
 * and leave anything longer to the server. The binary form is numeric_recv's.
 */
#include "record/decimal.h"

enum {
    EXPONENT_MAX = 1000000000,
    WHOLE_DIGITS_MAX = 131072, /* weight is an int16 that counts groups of four digits */
    DISPLAY_SCALE_MAX = 16383,
    GROUP_DIGITS = 4,
    SIGN_NEGATIVE = 0x4000,
    SIGN_NAN = 0xC000,
};

/* The place of the significant digits. Digits are numbered from the first of `whole` on through
 * `fraction`. */
typedef struct span {
    int64_t first; /* first digit that is not 0 */
    int64_t last;  /* last digit that is not 0; -1: the value is zero */
    int64_t point; /* number of the digit after the decimal point; beyond the digits when the
                      exponent is large */
} span;

static leat_slice take_digits(leat_slice *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] >= '0' && rest->data[size] <= '9')
        size++;
    leat_slice digits = {rest->data, size};
    rest->data += size;
    rest->size -= size;
    return digits;
}

/* After the 'e'. */
static bool take_exponent(leat_slice *rest, int32_t *ret)
{
    bool negative = leat_slice_take(rest, '-');
    if (!negative)
        leat_slice_take(rest, '+');
    leat_slice digits = take_digits(rest);
    if (digits.size == 0)
        return false;
    int64_t exponent = 0;
    for (size_t i = 0; i < digits.size; i++) {
        exponent = exponent * 10 + (digits.data[i] - '0');
        if (exponent > EXPONENT_MAX)
            return false;
    }
    *ret = (int32_t)(negative ? -exponent : exponent);
    return true;
}

bool leat_decimal_scan(leat_slice text, leat_decimal *ret)
{
    leat_decimal decimal = {.exponent = 0};
    if (text.size == 0)
        return false;
    decimal.negative = leat_slice_take(&text, '-');
    decimal.whole = take_digits(&text);
    if (decimal.whole.size == 0)
        return false;
    if (leat_slice_take(&text, '.')) {
        decimal.fraction = take_digits(&text);
        if (decimal.fraction.size == 0)
            return false;
    }
    if ((leat_slice_take(&text, 'e') || leat_slice_take(&text, 'E')) &&
        !take_exponent(&text, &decimal.exponent))
        return false;
    if (text.size != 0)
        return false;
    *ret = decimal;
    return true;
}

/* Zero beyond either end. */
static int digit_at(const leat_decimal *decimal, int64_t index)
{
    if (index < 0)
        return 0;
    size_t at = (size_t)index;
    if (at < decimal->whole.size)
        return decimal->whole.data[at] - '0';
    at -= decimal->whole.size;
    return at < decimal->fraction.size ? decimal->fraction.data[at] - '0' : 0;
}

static span measure(const leat_decimal *decimal)
{
    int64_t count = (int64_t)(decimal->whole.size + decimal->fraction.size);
    span measured = {
        .first = 0, .last = count - 1, .point = (int64_t)decimal->whole.size + decimal->exponent};
    while (measured.last >= 0 && digit_at(decimal, measured.last) == 0)
        measured.last--;
    while (measured.first < measured.last && digit_at(decimal, measured.first) == 0)
        measured.first++;
    return measured;
}

static int64_t display_scale(const leat_decimal *decimal)
{
    int64_t scale = (int64_t)decimal->fraction.size - decimal->exponent;
    return scale > 0 ? scale : 0;
}

bool leat_decimal_storable(const leat_decimal *decimal)
{
    if (display_scale(decimal) > DISPLAY_SCALE_MAX)
        return false;
    span digits = measure(decimal);
    return digits.last < 0 || digits.point - digits.first <= WHOLE_DIGITS_MAX;
}

int32_t leat_decimal_precision(int32_t type_modifier)
{
    return ((type_modifier - 4) >> 16) & 0xffff;
}

int32_t leat_decimal_scale(int32_t type_modifier)
{
    int32_t bits = (type_modifier - 4) & 0x7ff; /* an 11-bit number with sign */
    return bits >= 0x400 ? bits - 0x800 : bits;
}

bool leat_decimal_fits(const leat_decimal *decimal, int32_t type_modifier)
{
    if (type_modifier < 4)
        return true;
    span digits = measure(decimal);
    if (digits.last < 0)
        return true;
    int64_t precision = leat_decimal_precision(type_modifier);
    int64_t room = precision - leat_decimal_scale(type_modifier); /* digits before the point; may be
                                                                     negative */
    int64_t whole = digits.point - digits.first;
    if (whole != room)
        return whole < room;
    /* All the room is used: only rounding up a number of all nines needs one digit more. */
    for (int64_t i = 0; i < precision; i++)
        if (digit_at(decimal, digits.first + i) != 9)
            return true;
    return digit_at(decimal, digits.first + precision) < 5;
}

/* ---- Order ---- */

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Of two that are not zero. */
static int compare_magnitudes(const leat_decimal *a, const leat_decimal *b)
{
    span of_a = measure(a);
    span of_b = measure(b);
    int order = compare_numbers(of_a.point - of_a.first, of_b.point - of_b.first);
    for (int64_t i = 0; order == 0 && (of_a.first + i <= of_a.last || of_b.first + i <= of_b.last);
         i++)
        order = compare_numbers(digit_at(a, of_a.first + i), digit_at(b, of_b.first + i));
    return order;
}

static int sign(const leat_decimal *decimal)
{
    return measure(decimal).last < 0 ? 0 : decimal->negative ? -1 : 1;
}

int leat_decimal_compare(const leat_decimal *a, const leat_decimal *b)
{
    int sign_a = sign(a);
    int sign_b = sign(b);
    if (sign_a != sign_b || sign_a == 0)
        return compare_numbers(sign_a, sign_b);
    return sign_a * compare_magnitudes(a, b);
}

/* ---- Sum and rounding ---- */

__extension__ typedef __int128 mantissa;

static mantissa power_of_ten(int64_t exponent)
{
    mantissa power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static bool is_reckonable(mantissa number)
{
    mantissa limit = power_of_ten(LEAT_DECIMAL_DIGITS_MAX);
    return number < limit && number > -limit;
}

/* The value in units of 10^-scale, rounded half away from zero. */
static bool to_mantissa(const leat_decimal *decimal, int64_t scale, mantissa *ret)
{
    span digits = measure(decimal);
    *ret = 0;
    if (digits.last < 0)
        return true;
    int64_t end = digits.point + scale; /* the first digit that is cut off */
    if (end - digits.first > LEAT_DECIMAL_DIGITS_MAX)
        return false;
    mantissa number = 0;
    for (int64_t i = digits.first; i < end; i++)
        number = number * 10 + digit_at(decimal, i);
    if (digit_at(decimal, end) >= 5)
        number++;
    *ret = decimal->negative ? -number : number;
    return is_reckonable(number);
}

static size_t put_digits(mantissa number, int64_t scale, char *ret)
{
    char reversed[LEAT_DECIMAL_SUM_MAX];
    size_t count = 0;
    bool negative = number < 0;
    number = negative ? -number : number;
    for (int64_t i = 0; number > 0 || i <= scale; i++, number /= 10) {
        if (i == scale && scale > 0)
            reversed[count++] = '.';
        reversed[count++] = (char)('0' + (int)(number % 10));
    }
    if (negative)
        reversed[count++] = '-';
    for (size_t i = 0; i < count; i++)
        ret[i] = reversed[count - 1 - i];
    return count;
}

bool leat_decimal_sum(leat_slice a, leat_slice b, char ret[LEAT_DECIMAL_SUM_MAX], size_t *ret_size)
{
    leat_decimal first, second;
    if (!leat_decimal_scan(a, &first) || !leat_decimal_scan(b, &second))
        return false;
    int64_t scale = display_scale(&first) > display_scale(&second) ? display_scale(&first)
                                                                   : display_scale(&second);
    mantissa one, other;
    if (scale > LEAT_DECIMAL_DIGITS_MAX || !to_mantissa(&first, scale, &one) ||
        !to_mantissa(&second, scale, &other))
        return false;
    mantissa sum;
    if (__builtin_add_overflow(one, other, &sum) || !is_reckonable(sum))
        return false;
    *ret_size = put_digits(sum, scale, ret);
    return true;
}

bool leat_decimal_round(leat_slice literal, int32_t type_modifier, char ret[LEAT_DECIMAL_SUM_MAX],
                        size_t *ret_size)
{
    leat_decimal decimal;
    if (!leat_decimal_scan(literal, &decimal))
        return false;
    int64_t scale = type_modifier < 4 ? display_scale(&decimal) : leat_decimal_scale(type_modifier);
    mantissa number, rounded;
    if (scale > LEAT_DECIMAL_DIGITS_MAX || !to_mantissa(&decimal, scale, &number))
        return false;
    if (number != 0 && -scale > LEAT_DECIMAL_DIGITS_MAX)
        return false;
    if (__builtin_mul_overflow(number, power_of_ten(number == 0 ? 0 : -scale), &rounded) ||
        !is_reckonable(rounded))
        return false;
    *ret_size = put_digits(rounded, scale > 0 ? scale : 0, ret);
    return true;
}

/* ---- Binary form ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static void put_header(leat_buf *out, int64_t count, int64_t weight, int sign, int64_t scale)
{
    leat_buf_be16(out, (uint16_t)count);
    leat_buf_be16(out, (uint16_t)weight);
    leat_buf_be16(out, (uint16_t)sign);
    leat_buf_be16(out, (uint16_t)scale);
}

void leat_decimal_binary(const leat_decimal *decimal, leat_buf *out)
{
    span digits = measure(decimal);
    int64_t scale = display_scale(decimal);
    if (digits.last < 0) {
        put_header(out, 0, 0, 0, scale);
        return;
    }
    /* Digit i has the power point - 1 - i; a group of weight w holds the powers 4w .. 4w + 3. */
    int64_t highest = floor_div(digits.point - 1 - digits.first, GROUP_DIGITS);
    int64_t lowest = floor_div(digits.point - 1 - digits.last, GROUP_DIGITS);
    LEAT_ASSERT(highest <= INT16_MAX && scale <= DISPLAY_SCALE_MAX);
    put_header(out, highest - lowest + 1, highest, decimal->negative ? SIGN_NEGATIVE : 0, scale);
    for (int64_t group = highest; group >= lowest; group--) {
        int64_t first = digits.point - GROUP_DIGITS * (group + 1);
        int value = 0;
        for (int64_t i = first; i < first + GROUP_DIGITS; i++)
            value = value * 10 + digit_at(decimal, i);
        leat_buf_be16(out, (uint16_t)value);
    }
}

void leat_decimal_binary_nan(leat_buf *out)
{
    put_header(out, 0, 0, SIGN_NAN, 0);
}
