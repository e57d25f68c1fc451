"""Rules about the source tree that a reader may rely on."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

FUNCTION_MAX = 60
FILE_MAX = 500

# A folder may include from itself and from these.
MAY_INCLUDE = {
    "base": set(),
    "engine": {"base"},
    "record": {"base"},
    "config": {"base"},
    "auth": {"base"},
    "ops": {"base"},
    "http": {"base"},
    "log": {"base", "record"},
    "sink": {"base", "engine", "record"},
    "trace": {"base", "ops"},
    "edge": {"base", "auth", "record", "log", "ops", "http", "trace"},
    "apply": {"base", "engine", "record", "log", "sink", "ops", "trace"},
    "watch": {"base", "record", "log", "sink"},
    "page": {"base", "ops", "http"},
    "verify": {"base", "record", "log", "sink"},
    "plan": {"base"},
    "daemon": {"base", "engine", "record", "config", "auth", "ops", "http", "log", "sink", "trace", "edge", "apply", "watch", "page", "verify"},
    "cli": {"base", "engine", "record", "config", "auth", "ops", "http", "log", "sink", "trace", "edge", "apply", "watch", "page", "plan", "verify", "daemon"},
}


def sources():
    return sorted(p for p in SRC.rglob("*.[ch]"))


def test_includes_point_one_way():
    """base <- engine, record, config, auth, ops, http, plan <- log, sink, trace <- edge, apply, watch, page, verify <- daemon <- cli; nothing includes the other way."""
    wrong = []
    for path in sources():
        folder = path.relative_to(SRC).parts[0]
        for included in re.findall(r'^#include "([a-z]+)/', path.read_text(), re.M):
            if included != folder and included not in MAY_INCLUDE[folder]:
                wrong.append(f"{path.relative_to(ROOT)} includes {included}/")
    assert not wrong


def test_engine_has_no_clock_thread_or_io():
    """The engine's objects name nothing of the system but memory and assertions: that is what makes it replayable."""
    archive = ROOT / "build" / "release" / "src" / "libleat_engine.a"
    symbols = subprocess.run(["nm", "-u", archive], check=True, capture_output=True, text=True).stdout
    allowed = re.compile(r"^(leat_\w+|mem(cpy|set|move|cmp)|strn?(len|cmp)|calloc|malloc|free|qsort|__stack_chk_fail|_GLOBAL_\w+)$")
    names = set(re.findall(r"^\s+U (\S+)$", symbols, re.M))
    assert {n for n in names if not allowed.match(n)} == set()


def test_functions_and_files_stay_readable():
    """No function over 60 lines, no file over 500."""
    wrong = []
    for path in sources():
        lines = path.read_text().splitlines()
        if len(lines) > FILE_MAX:
            wrong.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start > FUNCTION_MAX:
                    wrong.append(f"{path.relative_to(ROOT)}:{start}: function of {number - start} lines")
                start = None
    assert not wrong


def test_each_file_begins_with_its_plot():
    """The first thing in a file of src or sim is a comment that says what it is about, and why."""
    files = sources() + sorted((ROOT / "sim").glob("*.[ch]"))
    assert not [str(path.relative_to(ROOT)) for path in files if not path.read_text().startswith("/*")]


def test_a_type_has_a_name_of_its_own():
    """No two types of src share a name: a header of the one could not be included beside the other's, and grep would lie."""
    found = {}
    for path in sources():
        for name in re.findall(r"^(?:\} |typedef (?:struct|enum|union) \w+ )(leat_\w+);", path.read_text(), re.M):
            found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    assert not {name: paths for name, paths in found.items() if len(paths) > 1}


def test_the_sources_are_formatted():
    """As .clang-format says; only a text may make a line longer than 100 columns."""
    run = subprocess.run([ROOT / "scripts" / "format", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[:4000]
    wrong = []
    for path in [p for folder in ("src", "sim", "tests", "fuzz", "bench") for p in sorted((ROOT / folder).rglob("*.[ch]"))]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > 100 and '"' not in line and not line.startswith("#define") and not line.endswith("\\"):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {len(line)} columns")
    assert not wrong


def test_unit_tests_mirror_the_source():
    """tests/unit has a folder only for what src has, at any depth."""

    def folders(root):
        return {p.relative_to(root) for p in root.rglob("*") if p.is_dir()}

    assert folders(ROOT / "tests" / "unit") <= folders(SRC)


def test_the_configuration_reference_is_what_the_program_prints():
    """docs/configuration.md is the output of `leat config`."""
    printed = subprocess.run([ROOT / "build" / "release" / "leat", "config"], check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "configuration.md").read_text() == printed


def test_the_reference_of_metrics_is_what_the_program_prints():
    """docs/metrics.md is the output of `leat metrics`."""
    printed = subprocess.run([ROOT / "build" / "release" / "leat", "metrics"], check=True, capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "metrics.md").read_text() == printed


def test_what_needs_postgres_is_run_on_its_versions():
    """A C test that asks for a PostgreSQL is in the suite `postgres`."""
    listed = re.search(r"^on_postgres = \[(.*?)\]", (ROOT / "tests" / "meson.build").read_text(), re.M | re.S).group(1)
    folder = ROOT / "tests" / "unit" / "sink"
    needs = {" ".join(p.relative_to(folder.parent).parts[:-1]) + f" {p.stem[5:]}" for p in folder.rglob("test_*.c") if re.search(r"PG_DSN_1|fixture_server\(", p.read_text())}
    assert set(re.findall(r"'(.*?)'", listed)) == needs


def test_c_and_sql_state_the_same_numbers():
    """A version or a size that stands in a header and in a schema too: C compares what it finds in the database with its own."""

    def of(path, pattern):
        found = set(re.findall(pattern, (SRC / path).read_text()))
        assert found, f"{path} does not state {pattern}"
        return found

    number = r" = (\d+)"
    server = of("sink/pg/blocking.h", "LEAT_SCHEMA_VERSION" + number)
    assert of("sink/pg/schema.sql", r"schema_version \(version\) VALUES \((\d+)\)") == server
    assert of("sink/pg/schema.sql", r"(?:found_version >|knows version|SET version =|WHERE version <) (\d+)") == server
    assert of("sink/sqlite/schema.sql", r"leat_schema_version \(one, version\) VALUES \(1, (\d+)\)") == of("sink/sqlite/db.h", "LEAT_SQLITE_VERSION" + number)
    (most,) = of("base/placement.h", "LEAT_SUBPARTITIONS_MAX" + number)
    ((low, high),) = of("sink/pg/schema.sql", r"subpartitions int NOT NULL CHECK \(subpartitions BETWEEN (\d+) AND (\d+)\)")
    assert int(low) == 1 and int(most) <= int(high)
    assert re.search(r"^    subpartitions INTEGER NOT NULL,$", (SRC / "sink/sqlite/schema.sql").read_text(), re.M), "a limit of its own: compare it here"


def calls(text, name):
    """The texts in each call of a function whose name matches, joined as the compiler joins them; macros such as PRIu64 are left out."""
    for call in re.finditer(rf"\b(?:{name})\(", text):
        depth, joined = 1, ""
        for token in re.finditer(r'"((?:\\.|[^"\\])*)"|[(),]', text[call.end():]):
            depth += {"(": 1, ")": -1}.get(token.group(), 0)
            if depth == 0:
                break
            joined += " " if token.group() == "," else token.group(1) or ""
        yield joined


def test_log_lines_have_the_keys_that_diag_h_lists():
    """One thing has one key, and keys have one order. A new key is added to the list, unless it is an old one under another name."""
    contract = (SRC / "base" / "diag.h").read_text()
    listed = re.search(r"lint knows no others\):\n \*\n(.*?)\n \*\n", contract, re.S).group(1)
    known = re.findall(r"[a-z_]+", re.sub(r'="\.\.\.".*', "", listed))
    used, unordered = set(), []
    for path in sources():
        # These write a part of a line.
        parts = "|put_text|snprintf" if path.name in ("worker_facts.c", "worker_held.c", "worker_parked.c") else ""
        for line in calls(path.read_text(), "leat_(?:debug|info|warn|err|diag)" + parts):
            line = re.sub(r'advice=\\".*', "advice=", line)  # a sentence: it may name settings
            keys = re.findall(r"(?:^|\s)([a-z_]+)=", line)
            used |= set(keys)
            places = [known.index(key) for key in keys if key in known]
            if places != sorted(places):
                unordered.append(f"{path.relative_to(ROOT)}: {' '.join(keys)}")
    assert used == set(known)
    assert not unordered
