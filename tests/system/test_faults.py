"""Two of scripts/faults in short: what dies at any moment, and a mail server that does as it likes."""

import random

import pytest

from faults import runs
from faults.house import House


@pytest.mark.parametrize("name", ["kills", "mail"])
def test_whatever_goes_wrong_each_conversion_ends_once(tmp_path, name):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}: scripts/faults --conversions 20 --seed {seed} {name}")
    with House(tmp_path / "cluster") as house:
        runs.RUNS[name](house, 20, random.Random(f"{seed}/{name}"))
        row = house.check(name in runs.MAY_REPEAT_MAILS)
    assert (row["accepted"], row["done"], row["orphans"]) == (20, 20, 0)
