"""The edge refuses a tenant or a row that writes more often than its limit, and nobody else."""
from lib.harness import both, key_of

APPS = ["00000000-0000-0000-0000-00000000000" + n for n in "12"]


@both
def test_a_loud_tenant_gets_429_and_a_quiet_one_202(make_world):
    world = make_world(limits={"tenant": {"rate": 1, "burst": 20}, "key": {"rate": 1, "burst": 5}})
    world.init()
    world.start("apply")
    edge = world.start("edge")
    with world.client(edge) as client:
        answers = [client.put(key_of(APPS[0], f"00000000-0000-0000-0000-0000000001{n:02}"), json={}) for n in range(30)]
        statuses = [a.status_code for a in answers]
        assert statuses[:20] == [202] * 20 and statuses.count(429) >= 5, statuses
        refused = next(a for a in answers if a.status_code == 429)
        assert refused.json()["error"] == "limited" and "limits.tenant" in refused.json()["message"]
        assert int(refused.headers["retry-after"]) == 1
        row = key_of(APPS[1], APPS[1])
        answers = [client.put(row, json={}) for _ in range(8)]
        assert [a.status_code for a in answers[:5]] == [202] * 5
        assert answers[-1].status_code == 429 and "limits.key" in answers[-1].json()["message"]
        assert client.put(key_of(APPS[1], APPS[0]), json={}).status_code == 202
    metrics = world.metrics(edge)
    assert metrics['leat_edge_limited_total{by="tenant"}'] >= 5 and metrics['leat_edge_limited_total{by="key"}'] >= 1
    assert metrics['leat_requests_total{code="429"}'] == sum(v for k, v in metrics.items() if k.startswith("leat_edge_limited_total"))
