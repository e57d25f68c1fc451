"""Tables of benchmarks in Markdown documents. Each stands between two lines, which are comments, so that it can be made anew."""

import re
import sys
from pathlib import Path


def markdown_table(rows):
    """The first row is the head."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body))


def place_in(file, begin, end):
    """(what stands before the two lines, what stands behind them). Ends the benchmark if they are not there."""
    path = Path(file)
    found = re.fullmatch(f"(.*?){re.escape(begin)}\n.*?{re.escape(end)}(.*)", path.read_text(), re.S) if path.exists() else None
    if not found:
        sys.exit(f"error: {file} has no line {begin} with a line {end} behind it")
    return found.groups()


def put_between(file, begin, end, text):
    """What stands there between the two lines becomes this text; nothing else changes."""
    before, behind = place_in(file, begin, end)
    Path(file).write_text(f"{before}{begin}\n\n{text}\n\n{end}{behind}")
