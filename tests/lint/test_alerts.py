"""The alert rules, their tests, the runbook and the Grafana dashboard: they agree with each other and with the table of metrics, and
a rule that were left out would be missed."""
import json
import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMTOOL = ROOT / ".dev" / "prometheus" / "usr" / "bin" / "promtool"
RULES_FILE = ROOT / "deploy" / "prometheus" / "leat.rules.yaml"
TESTS_FILE = ROOT / "deploy" / "prometheus" / "leat.tests.yaml"
RULES = yaml.safe_load(RULES_FILE.read_text())["groups"][0]["rules"]
TESTS = yaml.safe_load(TESTS_FILE.read_text())
DASHBOARD = ROOT / "deploy" / "grafana" / "leat.json"


def promtool(*arguments, cwd=None):
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


def name_of(test):
    (name,) = {case["alertname"] for case in test["alert_rule_test"]}
    return name


def metrics():
    """{name: type} of the generated table, with the series of histograms."""
    found = dict(re.findall(r"^\| `(leat_\w+)` \| (\w+) \|", (ROOT / "docs" / "metrics.md").read_text(), re.M))
    histograms = [name for name, kind in found.items() if kind == "histogram"]
    return set(found) | {name + end for name in histograms for end in ("_bucket", "_sum", "_count")}


def unknown_in(expressions):
    return {name for expression in expressions for name in re.findall(r"\bleat_\w+", expression)} - metrics()


def test_the_rules_and_their_tests_hold():
    """promtool reads the rules and has no complaint about them, and each of their tests succeeds."""
    for arguments in (("check", "rules", "--lint=all", "--lint-fatal", RULES_FILE), ("test", "rules", TESTS_FILE)):
        code, text = promtool(*arguments)
        assert code == 0, text


def test_each_rule_is_tested_and_has_its_entry_in_the_runbook():
    """In one order; each fires in one test and is quiet in another; nothing is about a rule that there is not."""
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert [name_of(test) for test in TESTS["tests"]] == [name for name in names for _ in range(2)]
    assert [bool(test["alert_rule_test"][0]["exp_alerts"]) for test in TESTS["tests"]] == [True, False] * len(names)
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    entries = re.split(r"^## ", runbook, flags=re.M)[1:]
    assert [entry.split("\n", 1)[0] for entry in entries] == names
    for entry in entries:
        assert re.findall(r"^\*\*(.*?)\*\*", entry, re.M) == ["Means", "Look at", "Do"], entry
    assert [rule["annotations"]["runbook"] for rule in RULES] == [f"docs/runbook.md#{name.lower()}" for name in names]


def test_a_rule_that_is_left_out_is_missed(tmp_path):
    """`promtool test rules` says SUCCESS of nothing: without its rule each test that expects an alert must fail."""
    firing = [test for test in TESTS["tests"] if test["alert_rule_test"][0]["exp_alerts"]]
    (tmp_path / "leat.rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "leat", "rules": []}]}))
    (tmp_path / "leat.tests.yaml").write_text(yaml.safe_dump({**TESTS, "tests": firing}))
    code, text = promtool("test", "rules", "leat.tests.yaml", cwd=tmp_path)
    assert code != 0 and re.findall(r"alertname: (\w+), time:", text) == [rule["alert"] for rule in RULES], text


def test_rules_use_metrics_that_there_are():
    assert unknown_in(rule["expr"] for rule in RULES) == set()
    assert unknown_in(series["series"] for test in TESTS["tests"] for series in test["input_series"]) == set()


# ---- the dashboard ----


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def test_the_dashboard_has_a_data_source_that_is_chosen_and_panels_beside_each_other():
    """The members of its JSON that Grafana needs, as far as they are known here: no Grafana has read it."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] == 42 and dashboard["id"] is None and dashboard["uid"] and dashboard["title"]
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24 and at["w"] > 0 and at["h"] > 0
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["title"] and panel["description"] and panel["targets"], panel
        for of in [panel, *panel["targets"]]:
            assert of["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_each_expression_of_the_dashboard_can_be_asked(tmp_path):
    """promtool parses it, and its metrics are in the table."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert unknown_in(expressions) == set()
    plain = [e.replace("$__rate_interval", "5m").replace("$shard", "a").replace("$instance", "i") for e in expressions]
    assert not [e for e in plain if "$" in e]
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"panel:{i}", "expr": e} for i, e in enumerate(plain)]}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    code, text = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    assert code == 0, text
