"""Importing the engines, and where Flower's private names may stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import fairfed

LIGHT = """
import os, sys
import fairfed.engines
assert "flwr" not in sys.modules and "torch" not in sys.modules
assert os.environ["FLWR_TELEMETRY_ENABLED"] == "0"
assert os.environ["FLWR_DISABLE_UPDATE_CHECK"] == "1"
import fairfed.rounds.loop
from flwr.supercore import telemetry
assert telemetry.FLWR_TELEMETRY_ENABLED == "0"
"""


def test_the_import_is_light_and_switches_telemetry_off() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_private_names_of_flower_stand_in_one_module_and_where_its_http_api_is_asked() -> None:
    private = re.compile(r"TaskIdentity|metadata\.__dict__|flwr\.(common|proto|super)")
    source = Path(fairfed.__file__).parent
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if private.search(path.read_text(encoding="utf-8"))
    }
    asking = {f"deployment/{name}.py" for name in ("control", "greeting", "probing")}
    assert found == {"engines/private.py", *asking}
