"""A process that trained beside others ends with its own exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import sys, time
from torch import distributed
from mmrerank.training import leaving

leaving.leave_in_peace()  # no group yet
if sys.argv[1] == "gloo":
    meeting = f"file://{sys.argv[2]}/meeting"
    distributed.init_process_group("gloo", meeting, world_size=1, rank=0)
leaving.leave_in_peace()
leaving.leave_in_peace()
time.sleep = lambda seconds: print("a pause of", seconds)
print("the end of the script")
"""


@pytest.mark.parametrize(("group", "pauses"), [("gloo", ["a pause of 0.1"]), ("none", [])])
def test_threads_of_gloo_are_given_a_moment(group: str, pauses: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SCRIPT, group, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["the end of the script", *pauses]
