"""Requests that are refused, with the exact answer of each: status, error, field. The routes and tables are those of
test_bad_requests.py. HTTP that is malformed in itself is in tests/unit/http/test_malformed.c."""

THING = "/things/1"
KEYS = ("true", "7", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "text", "2026-02-28", "2026-01-02T03:04:05Z", "AP-A")
JSON = {"content-type": "application/json"}


def keys(**changed):
    """The path of a row of `keys`, with some parts changed."""
    parts = dict(zip(("b", "i2", "u", "t", "d", "tz", "raw"), KEYS))
    return "/keys/" + "/".join({**parts, **changed}.values())


def case(status, error, field=None, method="PATCH", path=THING, body=b"{}", **headers):
    body = body.encode() if isinstance(body, str) else body
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, error, field, method, path, body, {**JSON, **headers}


def of_column(column, *values):
    return [case(422, "invalid", column, body=f'{{"{column}": {value}}}') for value in values]


def of_key(column, *texts):
    return [case(422, "invalid", column, path=keys(**{column: text})) for text in texts]


NOWHERE = [case(404, "no_route", path=path) for path in (
    "/", "/thing", "/things", "/things/1/", "/things/1/2", "//things/1", "/things//1", "/THINGS/1", "/things/./1",
    "/things/../things/1", "/x/../things/1", "/things%2f1", "/keys", keys(raw="AP-A/x"), "/keys/true/7")]

METHODS = [case(405, "method_not_allowed", method=method) for method in ("GET", "POST", "OPTIONS")] + [
    case(405, "method_not_allowed", method="POST", path="/healthz"),
    case(405, "method_not_allowed", method="DELETE", path="/readyz", body=b""),
    case(405, "method_not_allowed", method="GET", path="/batch", body=b""),
]

MEDIA = [case(415, "unsupported_media_type", content_type=value) for value in (
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "application/jsonx", "json",
    "application/json-patch+json", "*/*", "application/ json")] + [
    case(415, "unsupported_media_type", method="PUT", content_type="application/merge-patch+json"),
    *[case(415, "unsupported_media_type", content_encoding=value) for value in ("gzip", "br", "deflate", "x")],
]

KEYS_OF_WRITES = [case(400, "bad_request", "idempotency-key", idempotency_key=value) for value in (
    "", '""', '"', "a b", '"a\\"b"', "a\\b", '"a";q=1', '"a", "b"', "x" * 256)]

BODIES = [case(400, "bad_json", body=body) for body in (
    b"{", b"}", b"[]", b"[{}]", b"null", b"1", b'"{}"', b"true", b"{}{}", b"{} x", b"{},", b'{"t"}', b'{"t":}', b'{"t" "x"}',
    b'{"t":"x",}', b"{'t': 'x'}", b"{t: 1}", b'{"t":"x"', b'{"t":"x}', b'{"t":tru}', b'{"num":01}', b'{"num":1.}', b'{"num":.5}',
    b'{"num":+1}', b'{"num":1e}', b'{"num":0x1}', b'{"num":NaN}', b'{"num":-Infinity}', b'{"t":"\t"}', b'{"t":"\n"}',
    b'{"t":"\\x"}', b'{"t":"\\u12"}', b'{"t":"\\ud800"}', b'{"t":"\\udc00\\ud800"}', b'{"t":"\xff"}', b'{"t":"\xc0\x80"}',
    b'{"t":"\xed\xa0\x80"}', b'{"t":"\xf4\x90\x80\x80"}', b'{"\xff":1}', b"\xef\xbb\xbf{}", b"{}\x00", b"\x00{}",
    b"/* */{}", b'{"t":"x"} // no', b"\xff\xfe{\x00}\x00")] + [
    case(400, "bad_json", body=b""), case(400, "bad_json", body=b" "),
    case(400, "bad_json", method="PUT", body=b""),
    case(400, "bad_request", method="DELETE", body=b"{}"),
    case(413, "too_large", body=b'{"t":"' + b"x" * 70000 + b'"}'),
    case(413, "too_large", method="DELETE", body=b"x" * 70000),
]

COLUMNS = [
    case(422, "invalid", "nothing", body='{"nothing": 1}'), case(422, "invalid", "T", body='{"T": "x"}'),
    case(422, "invalid", None, body='{"": 1}'), case(422, "invalid", "made", body='{"made": 1}'),
    case(422, "invalid", "id", body='{"id": 2}'), case(422, "invalid", "id", body='{"id": null}'),
    case(422, "invalid", "id", body='{"id": "x"}'), case(422, "invalid", "t", body='{"t": "x", "t": "x"}'),
    case(422, "invalid", "needed", method="PUT"), case(422, "invalid", "needed", method="PUT", body='{"needed": null}'),
    case(422, "invalid", "needed", body='{"needed": null}'),
]

VALUES = [
    *of_column("b", '"true"', "1", "0", "[]", "{}"),
    *of_column("i2", "32768", "-32769", "1.5", "1e9", "true", '""', '" 1"', '"0x1"', '"1e400"', "[1]"),
    *of_column("i4", "2147483648", "-2147483649", '"2147483648"', '"x"'),
    *of_column("i8", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "0.1"),
    *of_column("f4", "1e39", "1e-60", '"inf"', "true", '"x"'),
    *of_column("f8", "1e400", "1e-400", '"+Infinity"', "[]"),
    *of_column("num", '"1,5"', '"x"', "true", '"1 "'),
    *of_column("money_like", "1000000", '"1e9"', "999999.995"),
    *of_column("t", "1", "true", "[]", "{}", '"a\\u0000b"'),
    *of_column("vc", '"01234567890"', "1"),
    *of_column("u", '"x"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g"', "1"),
    *of_column("d", '"2026-02-29"', '"2026-13-01"', '"2026-1-1"', '"0000-01-01"', '"10000-01-01"', '"02/28/2026"', '"today"', "20260228"),
    *of_column("ti", '"24:00:01"', '"3:04"', '"03:60:00"', '"03:04:05.1234567"', "3"),
    *of_column("ts", '"2026-01-02T03:04:05Z"', '"2026-01-02"', '"now"'),
    *of_column("tz", '"2026-01-02T03:04:05"', '"2026-01-02T25:00:00Z"', '"2026-01-02T03:04:05+24:00"', '"yesterday"', "1767322645"),
    *of_column("raw", '"AP+"', '"AP-A"', '"A"', '"\\\\x00"', "1"),
    *of_column("jb", '"\\u0000"', '{"a": "\\u0000"}', '{"\\u0000": 1}'),
    *of_column("ints", "1", '{"a": 1}', '[{}]', '[[1],[1,2]]'),
    *of_column("total", '"NaN"', '"Infinity"', "true"),
]

PATHS = [
    *of_key("b", "yes", "1", "TRUE%20", "t"), *of_key("i2", "32768", "x", "1.0", "%201", "0x7", "1e2"),
    *of_key("u", "x", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc999c0b4ef8bb6d6bb9bd380a1g"), *of_key("t", "%00", "%ff", "%c0%80"),
    *of_key("d", "2026-02-29", "x"), *of_key("tz", "2026-01-02", "x"), *of_key("raw", "A", "*"),
    *[case(422, "invalid", "id", path=f"/things/{text}") for text in (
        "", "%", "%1", "%zz", "x", "-", "+", "1.0", "1e3", "9223372036854775808", "0x1", "%E2%91%A0", "1%20", "null", "--1")],
]

CASES = [*NOWHERE, *METHODS, *MEDIA, *KEYS_OF_WRITES, *BODIES, *COLUMNS, *VALUES, *PATHS]
