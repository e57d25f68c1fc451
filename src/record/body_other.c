/*
 * Members of a body that are no column. One may be the tenant, whose place is the key: here it only
 * has to agree. The others are refused, because a name that is spelled wrongly would be lost
 * without a word; or, if the route wants it, dropped, or put together into one object, which then
 * is the value of a column like any other: what becomes of it is that column's operation.
 */
#include "record/body_state.h"

leat_slice leat_body_scalar_text(yyjson_val *json)
{
    if (yyjson_is_bool(json))
        return unsafe_yyjson_get_bool(json) ? LEAT_SLICE("true") : LEAT_SLICE("false");
    return yyjson_is_str(json) || yyjson_is_raw(json) ? leat_body_text(json) : (leat_slice){0};
}

static leat_body_fault check_tenant(leat_body_reading *reading, leat_slice name, yyjson_val *json)
{
    if (reading->has_tenant)
        return leat_body_refuse(reading, name, "is named twice");
    reading->has_tenant = true;
    const leat_value *tenant = &reading->key[reading->route->table->key_count];
    if (!leat_slice_equal(leat_body_scalar_text(json), tenant->text))
        return leat_body_refuse(reading, name, "differs from the tenant in the key");
    return LEAT_BODY_OK;
}

/* Names may come twice: of members with one name the last counts, as in jsonb. */
static leat_body_fault collect(leat_body_reading *reading, yyjson_val *name, yyjson_val *value)
{
    leat_buf *out = &reading->parser->other;
    const char *problem = leat_body_json_problem(reading, name, 0);
    if (!problem)
        problem = leat_body_json_problem(reading, value, 1);
    if (problem)
        return leat_body_refuse(reading, leat_body_text(name), problem);
    leat_buf_byte(out, out->size == 0 ? '{' : ',');
    yyjson_val *const parts[] = {name, value};
    for (size_t i = 0; i < 2; i++) {
        leat_slice text = leat_body_written(reading, parts[i]);
        if (!text.data)
            return leat_body_out_of_memory(reading->error);
        leat_buf_append(out, text.data, text.size);
        if (i == 0)
            leat_buf_byte(out, ':');
    }
    return LEAT_BODY_OK;
}

leat_body_fault leat_body_read_other(leat_body_reading *reading, yyjson_val *name,
                                     yyjson_val *value)
{
    const leat_route *route = reading->route;
    leat_slice text = leat_body_text(name);
    if (route->tenant_leads && route->tenant_from == LEAT_TENANT_IN_BODY &&
        leat_slice_is(text, route->tenant_name))
        return check_tenant(reading, text, value);
    if (route->other == LEAT_OTHER_DROP)
        return LEAT_BODY_OK;
    if (route->other == LEAT_OTHER_COLLECT)
        return collect(reading, name, value);
    return leat_body_refuse(reading, text, "is not a column");
}

leat_body_fault leat_body_take_collected(leat_body_reading *reading)
{
    leat_buf *other = &reading->parser->other;
    if (other->failed)
        return leat_body_out_of_memory(reading->error);
    if (other->size == 0)
        return LEAT_BODY_OK;
    LEAT_ASSERT(reading->route->other == LEAT_OTHER_COLLECT);
    uint32_t index = (uint32_t)reading->route->other_column;
    uint64_t bit = (uint64_t)1 << index;
    if (reading->body->present & bit)
        return leat_body_refuse_column(
            reading, &reading->route->table->columns[index],
            "collects the members that are no column: name it or them, not both");
    leat_buf_byte(other, '}');
    if (other->failed)
        return leat_body_out_of_memory(reading->error);
    reading->body->present |= bit;
    return leat_body_keep_text(reading, (leat_slice){other->data, other->size},
                               &reading->body->values[index]);
}
