"""What the documents say of the tree is so."""

import re

import pytest
import sys
from pathlib import Path

from lib import placement
from lib.html_page import Page

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_each_promise_names_tests_that_exist():
    """docs/guarantees.md: every section has at least one test, every test named is there."""
    text = (ROOT / "docs" / "guarantees.md").read_text()
    wrong = [section.splitlines()[0] for section in text.split("\n## ")[1:] if "`tests/" not in section]
    for path, function in re.findall(r"`(tests/[\w./]+?)(?:::(\w+))?`", text):
        file = ROOT / path
        if not file.exists():
            wrong.append(path)
        elif function and f"def {function}(" not in file.read_text():
            wrong.append(f"{path}::{function}")
    assert not wrong


def test_the_table_of_scaling_is_what_bench_scale_writes():
    """docs/performance.md: between the marks of bench/scale --docs nothing was added by hand."""
    sys.path.insert(0, str(ROOT / "bench" / "lib"))
    from scale_report import BEGIN, END, HEAD, caption

    made = (ROOT / "docs" / "performance.md").read_text().partition(BEGIN)[2].partition(END)[0]
    first, nothing, head, *table = made.strip().splitlines()
    machine, records, one, runs = re.match(r"(.+?); ([\d,]+) records, (one run)?(?:(\d+) runs)?", first).groups()
    possible = [caption(machine, int(records.replace(",", "")), 1 if one else int(runs), was_quiet) for was_quiet in (True, False)]
    assert first in possible
    assert nothing == "" and head == "| " + " | ".join(HEAD) + " |" and all(line.startswith("| ") for line in table)


def test_the_report_of_a_comparison_asks_for_nothing_from_outside():
    assert Page((ROOT / "docs" / "compare" / "report.html").read_text()).faults == []


@pytest.mark.parametrize("file", sorted([*(ROOT / "docs").rglob("*.svg"), ROOT / "docs" / "compare" / "report.html"]), ids=lambda file: file.name)
def test_what_a_benchmark_has_drawn_names_no_path_of_its_machine(file):
    assert re.findall(r"(?<![\w<.])/(?:home|root|work|tmp|mnt|usr|var|opt)\b\S*", file.read_text()) == []


def test_links_between_documents_lead_somewhere():
    """Relative links of the documents, with their headings."""
    wrong = []
    for document in DOCUMENTS:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text()):
            file = (document.parent / target).resolve() if target else document
            if not file.exists():
                wrong.append(f"{document.relative_to(ROOT)}: {target}")
            elif heading and heading not in headings(file):
                wrong.append(f"{document.relative_to(ROOT)}: {target}#{heading}")
    assert not wrong


def test_every_answer_of_the_edge_is_documented():
    """docs/http.md has each status and error that the edge can answer a write with, and no other."""
    table = (ROOT / "src" / "http" / "status.c").read_text()
    answers = set(re.findall(r"ROW\((\d{3}), \"[\w ]+\",\s+\"(\w+)\"", table))
    rows = re.findall(r"^\| (\d{3}(?:, \d{3})*) \| ([\w, ]+) \|", (ROOT / "docs" / "http.md").read_text(), re.M)
    documented = {(status, word) for statuses, words in rows for status in statuses.split(", ") for word in words.split(", ")}
    assert len(answers) > 15 and documented == answers


RULE = r'\{"(\w*)", (\w+), (?:NULL|"(\w+)"), LEAT_ENGINE_(\w+)\}'
CONDITIONS = {"ALWAYS": "", "BY": "reported by `{}`", "NO_ONE": "no function named", "BARE": "a table named, no constraint",
              "OWN": "reported by a statement of leat's own", "NOTING": "reported by leat's own, of the idempotency keys"}
OUTCOMES = {"NOT_YET": "bad data for now"}
# What PostgreSQL 16 to 18 have beyond 15.
LATER_STATES = {"10608", "25P04", "58P03"}


def sqlstate_rules():
    return re.findall(RULE, (ROOT / "src" / "sink" / "sqlstate.c").read_text())


def test_every_line_about_a_sqlstate_is_documented():
    """docs/design/sqlstate.md has the lines of src/sink/sqlstate.c, in their order."""
    code = [(prefix or "any", CONDITIONS[condition].format(function), OUTCOMES.get(outcome, outcome.lower().replace("_", " ")))
            for prefix, condition, function, outcome in sqlstate_rules()]
    page = (ROOT / "docs" / "design" / "sqlstate.md").read_text().split("| SQLSTATE |")[1]
    rows = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in page.splitlines()[2:] if line.startswith("|")]
    assert [row[:3] for row in rows] == code and all(row[3] for row in rows)


def test_no_sqlstate_of_postgresql_falls_through():
    """Every error of errcodes.txt has a line of its own or of its class, and no line is about nothing."""
    lists = list(Path("/usr/share/postgresql").glob("*/errcodes.txt"))
    assert lists, "there is no PostgreSQL server here"
    states = LATER_STATES | {line.split()[0] for file in lists for line in file.read_text().splitlines()
                             if re.match(r"^\w{5}\s+E\s", line)}
    prefixes = {prefix for prefix, *_ in sqlstate_rules()} - {""}
    assert len(states) > 240
    assert not [state for state in states if not any(state.startswith(prefix) for prefix in prefixes)]
    assert not [prefix for prefix in prefixes
                if not prefix.startswith("LT") and not any(state.startswith(prefix) for state in states)]


def test_the_versions_that_were_run_are_those_of_the_scripts():
    """docs/compatibility.md has each version that scripts/lib.sh pins, and no other."""
    lib, setup = ((ROOT / "scripts" / name).read_text() for name in ("lib.sh", "setup"))
    text = (ROOT / "docs" / "compatibility.md").read_text()

    def pins(name):
        return [line.split() for line in re.search(rf"^{name}='\n(.*?)'$", lib, re.M | re.S).group(1).splitlines()]

    def rows(heading):
        return set(re.findall(r"^\| (\d[\d.]*) \|", text.split(f"\n## {heading}\n")[1].split("\n## ")[0], re.M))

    postgres = {major: version.removesuffix(".0") for major, version, _ in pins("POSTGRES_PINS")}
    assert rows("PostgreSQL") == {"15", *postgres.values()} - {postgres["15"]} and f"{postgres['15']} from" in text
    assert rows("Kafka") == {version for _, version, _ in pins("KAFKA_PINS")}
    client = re.search(r"RDKAFKA_FILE=\S+\+(\S+)\.crate", setup).group(1)
    assert f"librdkafka {client}" in text
    newest, usual = (re.search(rf"^{name}=(\S+)$", lib, re.M).group(1) for name in ("POSTGRES_NEWEST", "KAFKA_DEFAULT"))
    assert f"| {postgres[newest]} | Maven | the SQL tests (`scripts/test`) |" in text
    assert re.search(rf"^\| {re.escape(usual)}\.\d+ \| every test", text, re.M)


def headings(file):
    """As the anchors that they become."""
    found = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in found}


def test_the_places_of_decisions_exist():
    """Each file and function that CONTRIBUTING.md names as the place of a decision is there."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("\n## Where is it decided?\n")[1].split("\n## ")[0]
    wrong, places = [], 0
    for cell in re.findall(r"^\| [^|]+ \| ([^|]+) \|$", table, re.M):
        file = None
        for name in re.findall(r"`([^`]+)`", cell):
            if "/" in name:
                file = ROOT / "src" / name
                if not file.exists():
                    wrong.append(name)
            else:
                places += 1
                if not (file and file.exists() and re.search(rf"\b{re.escape(name)}\b", file.read_text())):
                    wrong.append(f"{file}: {name}")
    assert not wrong and places > 30


def test_the_subpartitions_of_the_record_format_are_right():
    """By the second implementation, in Python; the unit tests of the first have the same ones."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (-?\d+) \| `([^`]*)` \| (\d+) \| ([\d ]*)\|$", (ROOT / "docs/record-format.md").read_text(), re.M)
    in_c = (ROOT / "tests/unit/base/test_placement.c").read_text()
    assert len(rows) >= 5
    for count, size, position, key, expected, drawn in rows:
        numbers = int(count), int(size), int(position)
        assert placement.subpartition(key.encode(), *numbers) == int(expected), key
        assert re.search(rf'"{re.escape(key)}"\), {expected}\)', in_c), key
        if drawn.strip():
            tenant = key.split("/")[numbers[2]].encode()
            assert drawn.split() == [str(n) for n in placement.window(tenant, *numbers[:2])], key
