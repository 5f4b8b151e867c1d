import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import workshop as workshop_module  # noqa: E402


@pytest.fixture
def workshop(tmp_path):
    made = workshop_module.Workshop(tmp_path)
    yield made
    made.close()
