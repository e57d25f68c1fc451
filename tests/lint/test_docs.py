"""What the documents say of the tree is so."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def headings(file):
    """As the anchors that they become."""
    found = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in found}
