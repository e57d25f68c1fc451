"""Imported first by each benchmark: goes on in the project's own Python when it was started by another."""

import os
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[2] / ".dev" / "venv" / "bin" / "python"
if PYTHON.exists() and Path(sys.executable) != PYTHON:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
