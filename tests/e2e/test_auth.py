"""Who may write: tokens and keys in files that change under load."""
import base64
import hashlib
import json
import signal
import subprocess
import threading
import time

import httpx

from lib.harness import key_of, wait_until

APPS = ["00000000-0000-0000-0000-00000000000" + n for n in "12"]


def line(name, token, scopes="*:*", tenant=None):
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f"{name} sha256:{digest} {scopes}" + (f" tenant={tenant}" if tenant else "")


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs with a key of its own; openssl is the other side of what leat verifies."""

    def __init__(self, directory, name):
        self.private, self.public, self.signed = (directory / f"{name}.{end}" for end in ("pem", "pub", "tbs"))
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.private], check=True)
        subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-out", self.public], check=True)

    def token(self, **claims):
        claims = {"iss": "https://issuer", "aud": ["leat"], "exp": int(time.time()) + 600, "scope": "*:*", **claims}
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "EdDSA"}, claims))
        self.signed.write_text(text)
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", self.private, "-rawin", "-in", self.signed],
                                   check=True, capture_output=True).stdout
        return f"{text}.{base64url(signature)}"


def test_tokens_and_keys_change_under_load_and_no_good_one_is_refused(make_world, tmp_path):
    tokens, keys = tmp_path / "tokens", tmp_path / "keys.pem"
    issuer, other = Issuer(tmp_path, "one"), Issuer(tmp_path, "two")
    kept, first, second = "kept-secret", "first-secret", "second-secret"
    tokens.write_text("\n".join([line("kept", kept), line("first", first, "subscriptions:put", APPS[0])]))
    keys.write_bytes(issuer.public.read_bytes())
    world = make_world(log="local", store="sqlite", shards=1, auth={"tokens": str(tokens), "jwt": {
        "keys": str(keys), "issuer": "https://issuer", "audience": "leat", "tenant_claim": "app_id"}})
    world.init()
    good = tokens.read_text()
    strange = "\n".join([good, line("typo", "typo-secret", "*:put,subscription:put"), line("more", "more-secret", "nowhere:*")])
    for text, result, words in (("x y", "failed", ""), (strange, "warning", "token typo has the scope subscription:put, and there is no "
                                                        "route of that name (tokens with such a scope: 2)"), (good, "ok", "")):
        tokens.write_text(text)
        found = next(f for f in json.loads(world.leat("check", "--json").stdout)["checks"] if f["check"] == "tokens")
        assert found["result"] == result and str(tokens) in json.dumps(found) and words in found["what"]
    leat = world.start("run")
    row, others_row = key_of(APPS[0], APPS[0]), key_of(APPS[1], APPS[0])
    with world.client(leat) as client:

        def put(token, path=row, method="PUT"):
            return client.request(method, path, json={}, headers=bearer(token) if token else {})

        assert [put(t).status_code for t in (kept, first, second, None)] == [202, 202, 401, 401]
        assert put(first, others_row).status_code == 403 and put(first, method="PATCH").status_code == 403
        signed = issuer.token(app_id=APPS[0].upper(), sub="me")
        assert put(signed).status_code == 202 and put(signed, others_row).status_code == 403
        answer = put(issuer.token(app_id=APPS[0], exp=int(time.time()) - 3600))
        assert answer.status_code == 401 and answer.json()["message"] == "the token has expired"
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        batch = "\n".join(json.dumps({"method": "PUT", "path": path, "body": {}}) for path in (row, others_row, "/nowhere"))
        for token, status in ((first, 207), (second, 401), (None, 401)):
            answer = client.post("/batch", content=batch, headers={"content-type": "application/x-ndjson", **(bearer(token) if token else {})})
            assert answer.status_code == status, answer.text
            if status == 207:
                assert [json.loads(text)["status"] for text in answer.text.splitlines()] == [202, 403, 404]
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200

        stop, statuses = threading.Event(), [[] for _ in range(3)]

        def write(into):
            with httpx.Client(base_url=world.url(leat), timeout=30, headers=bearer(kept)) as own:
                while not stop.is_set():
                    into.append(own.put(row, json={}).status_code)

        threads = [threading.Thread(target=write, args=(into,)) for into in statuses]
        for thread in threads:
            thread.start()
        try:
            tokens.write_text("\n".join([line("kept", kept), line("second", second)]))
            leat.signal(signal.SIGHUP)
            wait_until(lambda: put(second).status_code == 202, "the second token to be known")
            assert put(first).status_code == 401 and put(signed).status_code == 202
            tokens.write_text(f"{line('kept', kept)}\nthird third-secret *:*\n")
            leat.signal(signal.SIGHUP)
            leat.wait_for(f"{tokens}:2: the second word is neither")
            assert put(second).status_code == 202 and put("third-secret").status_code == 401
            tokens.write_text(line("kept", kept))
            keys.write_bytes(other.public.read_bytes())
            wait_until(lambda: put(second).status_code == 401, "the change to be seen without a signal")
            assert put(signed).status_code == 401 and put(other.token(app_id=APPS[1]), others_row).status_code == 202
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert all(len(into) > 10 and set(into) == {202} for into in statuses), [set(into) for into in statuses]
    said = leat.text()
    for secret in (kept, first, second, "third-secret", signed):
        assert secret not in said
    assert leat.terminate() == 0


def test_a_token_that_is_made_is_good_with_its_line(make_world, tmp_path):
    """And the admin listener's own token."""
    tokens = tmp_path / "tokens"
    world = make_world(log="local", store="sqlite", shards=1, auth={"tokens": str(tokens)}, admin=":0", admin_token="$ADMIN_TOKEN")
    done = world.leat("token", "new", "app-1", "--scopes", "subscriptions:*", "--tenant", APPS[0])
    assert done.returncode == 0, done.stderr
    token, made = [text for text in done.stdout.splitlines() if not text.startswith("#")]
    assert token.startswith("leat_") and token not in made and made.startswith("app-1 sha256:")
    tokens.write_text(made)
    leat = world.start("run", env={**world.env, "ADMIN_TOKEN": "admin-secret"})
    with world.client(leat) as client:
        assert client.put(key_of(APPS[0], APPS[0]), json={}, headers=bearer(token)).status_code == 202
        assert client.put(key_of(APPS[1], APPS[0]), json={}, headers=bearer(token)).status_code == 403
    admin = "http://127.0.0.1:" + leat.address("admin listens").rpartition(":")[2]
    assert httpx.get(f"{admin}/metrics").status_code == 401 and httpx.get(f"{admin}/healthz").status_code == 200
    shown = httpx.get(f"{admin}/metrics", headers=bearer("admin-secret"))
    assert shown.status_code == 200 and 'leat_requests_total{code="403"} 1' in shown.text
    for wrong in (["a b"], ["a/b"], ["a", "--scopes", "subscriptions"], ["a", "--tenant", "7 8"]):
        done = world.leat("token", "new", *wrong)
        assert done.returncode == 2 and done.stdout == "" and "leat token new: " in done.stderr
