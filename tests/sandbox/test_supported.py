"""The README tells what is answered, as it is."""

import subprocess
import sys

import pytest

from sandbox.__main__ import main
from sandbox.supported import README, markdown, with_table
from tests.sandbox.running import ROOT


def test_the_table_in_the_readme_is_up_to_date() -> None:
    text = README.read_text()
    assert with_table(text) == text, "run `python -m sandbox supported --write`"


def test_the_command_prints_the_table_and_the_routes(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "sandbox", "supported", "--markdown"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == markdown()
    assert main(["supported"]) == 0
    assert "POST   /v1/billing/meter_events\n" in capsys.readouterr().out
