"""What benchmarks share, without servers: tables in documents."""

import sys

import pytest

from lib.harness import ROOT

sys.path.insert(0, str(ROOT / "bench" / "lib"))

from document import markdown_table, place_in, put_between

BEGIN, END = "<!-- here -->", "<!-- end -->"


def test_a_table_takes_the_place_between_its_two_lines(tmp_path):
    """Whatever stands there, and as often as it is made; what is around it stays."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n{BEGIN}\n")
    for table in (markdown_table([["", "a"], ["x", "1"]]), "\\1"):
        put_between(page, BEGIN, END, table)
        assert page.read_text() == f"before\n{BEGIN}\n\n{table}\n\n{END}\nbehind\n{BEGIN}\n"
    assert markdown_table([["", "a"], ["x", "1"]]) == "|  | a |\n| --- | --- |\n| x | 1 |"


@pytest.mark.parametrize("text", [None, "", f"{END}\n{BEGIN}\n", f"{BEGIN}\n"])
def test_a_document_without_the_two_lines_is_named(tmp_path, text):
    """The benchmark ends; the document stays as it is."""
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    with pytest.raises(SystemExit, match="page.md has no line <!-- here --> with a line <!-- end --> behind it"):
        place_in(page, BEGIN, END)
