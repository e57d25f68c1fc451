"""The edge's description of itself: /openapi.json is valid, agrees with what the edge takes, and follows the tables; /docs shows
it in a browser and asks nobody else for anything."""

import gzip
import json
import re
import shutil

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from playwright.sync_api import sync_playwright

from e2e import test_bad_requests
from e2e.bad_requests import KEYS_OF_WRITES
from lib.harness import ROOT, World, wait_until

TABLES = test_bad_requests.TABLES + """
create table written (id bigint primary key, n int not null default 0 check (n >= 0));
create table moved (like written including all);
"""
LOGGED = test_bad_requests.ROUTES
DIRECT = [{"path": "/written/{id}", "table": "written", "mode": "sync"}, {"path": "/moved/{id}", "table": "moved", "mode": "live"}]
ROUTES = LOGGED + DIRECT

# Each is a body of a PUT of things; most are refused. The schema and the edge must agree about all of them.
BODIES = [
    {"needed": 1}, {}, {"needed": None}, {"needed": "1"}, {"needed": "x"}, {"needed": 1.5}, {"needed": 2 ** 31}, {"needed": True},
    {"needed": 1, "nope": 1}, {"needed": 1, "made": 1}, {"needed": 1, "b": "true"}, {"needed": 1, "b": None}, {"needed": 1, "i2": 40000},
    {"needed": 1, "i8": -2 ** 63}, {"needed": 1, "f8": "NaN"}, {"needed": 1, "f8": "1"}, {"needed": 1, "f4": -1.5},
    {"needed": 1, "num": "-1.5e3"}, {"needed": 1, "num": "one"}, {"needed": 1, "vc": "0123456789"}, {"needed": 1, "vc": "0123456789a"},
    {"needed": 1, "u": 1}, {"needed": 1, "u": None}, {"needed": 1, "d": "2026-01-02"}, {"needed": 1, "d": "02.01.2026"},
    {"needed": 1, "ti": "03:04:05.678"}, {"needed": 1, "ti": "3 o'clock"}, {"needed": 1, "ts": "2026-01-02T03:04:05"},
    {"needed": 1, "ts": "2026-01-02T03:04:05Z"}, {"needed": 1, "tz": 5}, {"needed": 1, "raw": []}, {"needed": 1, "jb": {"a": [None]}},
    {"needed": 1, "jb": 1}, {"needed": 1, "ints": [1, None]}, {"needed": 1, "ints": "{1}"}, {"needed": 1, "ints": {}}, [], 1,
]


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("docs"), shards=1, partitions=1, table_sql=TABLES, routes=ROUTES, catalog_every="300ms")
    try:
        world.init()
        set_way(world, "sync")
        process = world.start("edge")
        with world.client(process) as client:
            for path in ("/written/0", "/moved/0"):
                wait_until(lambda: client.put(path, json={}).status_code == 200, "the edge to have a connection")
            yield world, client
    finally:
        world.close()


def set_way(world, way):
    """Of the live route."""
    done = world.leat("mode", "set", "moved", way)
    assert done.returncode == 0, done.stderr


def operations(document):
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
            if isinstance(operation, dict)]


def operation_of(document, method, path):
    """That of a request: the operation whose path has its shape."""
    def fits(template):
        return re.fullmatch(re.sub(r"\\{[^/]*?\\}", "[^/]*", re.escape(template)), path)

    return next((item[method] for template, item in document["paths"].items() if fits(template) and method in item), None)


def media_of(document):
    """Every media type object that has an example."""
    for _, _, operation in operations(document):
        yield from operation.get("requestBody", {}).get("content", {}).values()
    for response in document["components"]["responses"].values():
        yield from response["content"].values()


def test_the_description_is_openapi_and_its_examples_are_valid(edge):
    """By a public validator; and each example by its own schema."""
    document = edge[1].get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    examples = [(media["schema"], media["example"]) for media in media_of(document)]
    examples += [(parameter["schema"], parameter["example"]) for item in document["paths"].values() for parameter in item.get("parameters", [])]
    for schema, example in examples:
        Draft202012Validator({**schema, "components": document["components"]}).validate(example)
    assert len(examples) > 20
    assert {(path, method) for path, method, _ in operations(document)} >= {
        (route["path"], method) for route in ROUTES for method in ("put", "patch", "delete")}


def test_the_edge_takes_what_the_description_shows(edge):
    """Each operation is sent as its example, and answered as described; so are the errors."""
    world, client = edge
    document = client.get("/openapi.json").json()
    sent = 0
    routes = {route["path"] for route in ROUTES}
    for path, method, operation in operations(document):
        if path not in routes:
            continue
        for parameter in document["paths"][path]["parameters"]:
            example = parameter["example"]
            path = path.replace(f"{{{parameter['name']}}}", str(example).lower() if isinstance(example, bool) else str(example))
        body = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {}).get("example")
        answer = client.request(method.upper(), path, json=body)
        assert answer.status_code == (202 if route_of(path) in LOGGED else 200), (method, path, body, answer.text)
        check(document, answer)
        if answer.status_code == 202:
            check(document, client.get("/writes/" + answer.json()["token"]))
        sent += 1
    assert sent == 3 * len(ROUTES)
    for answer in (client.put("/things/x", json={}), client.put("/nowhere", json={}), client.post("/things/1"),
                   client.put("/things/1", content="{"), client.put("/written/1", json={"n": -1}), client.get("/batch")):
        check(document, answer)
    batch = document["paths"]["/batch"]["post"]
    shown = batch["responses"]["207"]["content"]
    for kind, media in batch["requestBody"]["content"].items():
        example = media["example"]
        answer = client.post("/batch", headers={"content-type": kind}, content=example if isinstance(example, str) else json.dumps(example))
        assert (answer.status_code, answer.headers["content-type"]) == (207, kind)
        assert answer.json() == json.loads(shown[kind]["example"]) if isinstance(example, str) else shown[kind]["example"]
        validator = Draft202012Validator({**shown["application/json"]["schema"], "components": document["components"]})
        validator.validate(answer.json() if isinstance(answer.json(), list) else [answer.json()])


def route_of(path):
    return next(route for route in ROUTES if route["path"].split("/")[1] == path.split("/")[1])


def check(document, answer):
    """It is one that its operation describes; of a path or method that is not there, one of all responses."""
    request, status = answer.request, str(answer.status_code)
    operation = operation_of(document, request.method.lower(), request.url.path)
    response = operation["responses"][status] if operation else {"$ref": f"#/components/responses/{status}"}
    (kind, media), = document["components"]["responses"][response["$ref"].rpartition("/")[2]]["content"].items()
    assert answer.headers["content-type"] == kind
    Draft202012Validator({**media["schema"], "components": document["components"]}).validate(answer.json())


def test_a_live_route_is_described_whichever_way_its_writes_go(edge):
    """A route has the answers of its ways: applied, accepted, or both."""
    world, client = edge
    document = client.get("/openapi.json").json()

    def successes(path):
        responses = document["paths"][path]["put"]["responses"]
        return {status: responses[status]["$ref"].rpartition("/")[2] for status in responses if status < "300"}

    assert successes("/things/{id}") == {"200": "200", "202": "202"}
    assert successes("/written/{id}") == {"200": "Applied"}
    assert successes("/moved/{id}") == {"200": "AppliedEitherWay", "202": "202"}
    check(document, client.put("/moved/1", json={"n": 1}))
    set_way(world, "async")
    wait_until(lambda: client.put("/moved/1", json={"n": 2}).status_code == 202, "the edge to know")
    check(document, client.put("/moved/1", json={"n": 3}))
    place = client.put("/moved/1", json={"n": 4}).json()
    media = document["components"]["responses"]["AppliedEitherWay"]["content"]["application/json"]
    validator = Draft202012Validator({**media["schema"], "components": document["components"]})
    validator.validate({**place, "state": "applied"})  # with Prefer: wait
    assert not validator.is_valid(place["token"])


def test_headers_are_as_they_are_described(edge):
    """The examples of docs/http.md fit; and a key of a write is taken if and only if its schema has it."""
    world, client = edge
    headers = {parameter["name"].lower(): parameter["schema"]
               for parameter in client.get("/openapi.json").json()["components"]["parameters"].values()}
    shown = re.findall(r"^    ([a-z-]+): (.+)$", (ROOT / "docs" / "http.md").read_text(), re.M)
    examples = [(name, value) for name, value in shown if name in headers]
    assert {name for name, _ in examples} == set(headers) == {"idempotency-key", "prefer"}
    for name, value in examples:
        Draft202012Validator(headers[name]).validate(value)
    keys = [sent["idempotency-key"] for *_, sent in KEYS_OF_WRITES]
    keys += ["a", '"a"', "!#[]~", '"!#[]~"', "x" * 255, '"' + "x" * 255 + '"', '"' + "x" * 256 + '"', 'a"', '"a']
    verdicts = {key: (Draft202012Validator(headers["idempotency-key"]).is_valid(key),
                      client.delete("/things/1", headers={"idempotency-key": key}).status_code) for key in keys}
    assert {key: found for key, found in verdicts.items() if found not in ((True, 202), (False, 400))} == {}
    assert {fits for fits, _ in verdicts.values()} == {True, False}


def test_the_schema_and_the_edge_agree(edge):
    """A body is valid by the schema if and only if the edge takes it."""
    world, client = edge
    document = client.get("/openapi.json").json()
    schema = document["paths"]["/things/{id}"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    verdicts = {json.dumps(body): (Draft202012Validator(schema).is_valid(body), client.put("/things/1", json=body).status_code)
                for body in BODIES}
    assert {body: found for body, found in verdicts.items() if found not in ((True, 202), (False, 422), (False, 400))} == {}
    patch = document["paths"]["/things/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert patch["properties"]["total"]["x-leat-operation"] == "add" and patch["required"] == []


def test_the_description_follows_the_tables_and_has_a_tag(edge):
    """A client that has it is answered 304, until a table is altered. HEAD, and other methods, are as for other paths."""
    world, client = edge
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get("/openapi.json", headers={"if-none-match": '"other"'}).content == first.content
    head = client.head("/openapi.json")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(first.content)))
    assert client.put("/openapi.json", json={}).status_code == 404
    with world.db("a") as db:
        db.execute("alter table things add column later text")
    altered = wait_until(lambda: (answer := client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})).status_code == 200
                         and answer, "the description to change")
    assert "later" in altered.json()["paths"]["/things/{id}"]["put"]["requestBody"]["content"]["application/json"]["schema"]["properties"]


def test_the_page_shows_it_and_asks_nobody_else(edge):
    """In Chromium: every operation is listed, one is tried out, nothing is requested elsewhere, and no policy is violated."""
    world, client = edge
    base = str(client.base_url).rstrip("/")
    requested, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(base + "/docs")
        page.wait_for_selector(".opblock")
        count = len(operations(client.get("/openapi.json").json()))
        assert page.locator(".opblock").count() == count
        page.locator("#operations-things-patch_things .opblock-summary-control").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        page.locator("#operations-things-patch_things .live-responses-table .response-col_status").filter(has_text="202").wait_for()
        page.screenshot(path=ROOT / "build" / "docs-page.png", full_page=True)
        browser.close()
    assert [url for url in requested if not url.startswith((base + "/", "data:"))] == [] and len(requested) >= 5
    assert complaints == []


def test_the_files_of_the_page(edge):
    """Compressed for whoever takes it, the same without; with a policy; unchanged ones are not sent again."""
    world, client = edge
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"):
        with client.stream("GET", path, headers={"accept-encoding": "br, gzip"}) as answer:
            packed = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip" and "default-src 'none'" in answer.headers["content-security-policy"]
        plain = client.get(path, headers={"accept-encoding": "gzip;q=0"})
        assert "content-encoding" not in plain.headers and plain.content == gzip.decompress(packed)
        assert client.get(path, headers={"if-none-match": plain.headers["etag"]}).status_code == 304
    assert client.get("/docs/nothing").status_code == 404


@pytest.mark.parametrize("backend", ["built-in"], indirect=True)
def test_both_can_be_switched_off(make_world):
    """With http.docs: off they are paths without a route."""
    world = make_world(shards=1, http={"docs": "off"})
    url = world.url(world.start("run"))
    assert [httpx.get(url + path).status_code for path in ("/openapi.json", "/docs", "/docs/start.js")] == [404, 404, 404]
