/*
 * auth.c - who may write what. A request shows a bearer token (RFC 6750); whose it is, is looked up
 * as soon as the headers are there, and asked again once route, operation and tenant are known.
 * The answer of the first question is kept for the second, with a number that the request keeps
 * too: between them usually comes no other request, and if one does the token is simply looked up
 * again. So nothing that must be freed hangs on a request that may go away. It is also looked up
 * again when the token has expired or was taken out meanwhile: a batch may have any length.
 *
 * Without a configuration of tokens everybody may do everything, as behind a proxy that has asked
 * already.
 */
#include "edge/internal.h"

#include <stdio.h>
#include <string.h>

#include "auth/bearer.h"
#include "auth/scopes.h"
#include "record/chars.h"

void edge_auth_init(leat_edge *edge)
{
    if (edge->config.auth)
        edge->auth.checker = leat_auth_checker_new(edge->config.auth);
}

void edge_auth_fini(leat_edge *edge)
{
    leat_auth_checker_free(edge->auth.checker);
    leat_buf_free(&edge->auth.text);
}

/* ---- whose request it is ---- */

static void look_up(leat_edge *edge, leat_http_request *request)
{
    edge_auth *own = &edge->auth;
    leat_slice shown = leat_http_request_header(request, "authorization");
    leat_slice token = leat_bearer_token(shown);
    own->who = NULL;
    own->why = shown.size > 0 ? "the Authorization header is not Bearer and a token" : NULL;
    if (leat_http_request_header_line(request, "authorization", 1).data)
        own->why = "there is more than one Authorization header"; /* whose is the request then? */
    else if (token.size > 0)
        own->who = leat_auth_check(own->checker, token, leat_wall_ms() / 1000, &own->why);
    leat_count_to(edge->metrics.tokens_verified, leat_auth_verified(own->checker));
    own->asked++;
    leat_http_request_keep(request, EDGE_SLOT_TOKEN, (void *)own->asked);
}

static bool is_known(const edge_auth *own, const leat_http_request *request)
{
    return own->asked != 0 &&
           leat_http_request_kept(request, EDGE_SLOT_TOKEN) == (void *)own->asked &&
           leat_auth_is_current(own->checker) &&
           (!own->who || leat_wall_ms() / 1000 < own->who->expires_s);
}

/* NULL: nobody's, and the edge knows why. */
static const leat_principal *who_of(leat_edge *edge, leat_http_request *request)
{
    if (!is_known(&edge->auth, request))
        look_up(edge, request);
    return edge->auth.who;
}

leat_slice edge_auth_tenant(leat_edge *edge, leat_http_request *request)
{
    const leat_principal *who = edge->auth.checker ? who_of(edge, request) : NULL;
    return who ? who->tenant : (leat_slice){"", 0};
}

const leat_principal *edge_auth_who(leat_edge *edge, leat_http_request *request)
{
    return edge->auth.checker ? who_of(edge, request) : NULL;
}

/* ---- refusals ---- */

static void refuse_unknown(const edge_auth *own, edge_refusal *ret)
{
    ret->code = LEAT_HTTP_UNAUTHORIZED;
    snprintf(ret->message, sizeof ret->message, "%s",
             own->why ? own->why : "a token is needed (Authorization: Bearer TOKEN)");
    if (own->why)
        snprintf(ret->headers, sizeof ret->headers,
                 LEAT_BEARER_CHALLENGE ", error=\"invalid_token\", error_description=\"%s\"\r\n",
                 own->why);
    else
        snprintf(ret->headers, sizeof ret->headers, LEAT_BEARER_CHALLENGE "\r\n");
}

static void refuse_scope(const leat_route *route, leat_route_op op, edge_refusal *ret)
{
    const char *name = leat_route_op_name(op);
    ret->code = LEAT_HTTP_FORBIDDEN;
    snprintf(ret->message, sizeof ret->message, "the token has no scope %s:%s", route->name, name);
    snprintf(ret->headers, sizeof ret->headers,
             LEAT_BEARER_CHALLENGE ", error=\"insufficient_scope\", scope=\"%s:%s\"\r\n",
             route->name, name);
}

static void refuse_tenant(const leat_route *route, leat_slice tenant, edge_refusal *ret)
{
    ret->code = LEAT_HTTP_FORBIDDEN;
    snprintf(ret->message, sizeof ret->message, "%s",
             route->tenant_leads ? "the token is for one tenant, and this route would write any "
                                   "tenant's row: the primary key does not say whose it is"
             : tenant.size > 0
                 ? "the token is for another tenant"
                 : "the token is for one tenant, and the rows of this route belong to none");
    snprintf(ret->headers, sizeof ret->headers,
             LEAT_BEARER_CHALLENGE ", error=\"insufficient_scope\"\r\n");
}

/* ---- decisions ---- */

/* Is it the tenant of the key, however the two are spelled (007, an upper-case uuid)? */
static bool is_tenant(leat_edge *edge, const leat_route *route, leat_slice own, leat_slice of_key)
{
    edge_auth *auth = &edge->auth;
    leat_error unused;
    if (of_key.size == 0)
        return false;
    if (leat_slice_equal(own, of_key) && !memchr(own.data, '%', own.size))
        return true;
    leat_buf_clear(&auth->text);
    leat_buf_percent(&auth->text, own);
    if (auth->text.failed || auth->text.size == 0 ||
        leat_key_decode_tenant(route, (leat_slice){auth->text.data, auth->text.size}, &auth->tenant,
                               &unused) != 0)
        return false;
    return leat_slice_equal((leat_slice){auth->tenant.canonical, auth->tenant.canonical_size},
                            of_key);
}

/* May a token for the tenant `own` write the row of this key? Where the tenant leads, the row is
 * found without it, and may be anybody's. */
static bool is_own_row(leat_edge *edge, const leat_route *route, leat_slice own, leat_slice of_key)
{
    return !route->tenant_leads && is_tenant(edge, route, own, of_key);
}

bool edge_auth_allows(leat_edge *edge, leat_http_request *request, const leat_route *route,
                      leat_route_op op, leat_slice tenant, edge_refusal *ret)
{
    if (!edge->auth.checker)
        return true;
    const leat_principal *who = who_of(edge, request);
    if (!who) {
        refuse_unknown(&edge->auth, ret);
        return false;
    }
    if (!leat_scopes_allow(who->scopes, leat_slice_of(route->name),
                           leat_slice_of(leat_route_op_name(op)))) {
        refuse_scope(route, op, ret);
        return false;
    }
    if (who->tenant.size > 0 && !is_own_row(edge, route, who->tenant, tenant)) {
        refuse_tenant(route, tenant, ret);
        return false;
    }
    return true;
}

bool edge_auth_check(leat_edge *edge, leat_http_request *request)
{
    edge_refusal refusal;
    if (!edge->auth.checker)
        return true;
    if (who_of(edge, request))
        return true;
    refuse_unknown(&edge->auth, &refusal);
    edge_answer_refusal(edge, request, &refusal);
    return false;
}
