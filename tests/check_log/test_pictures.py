"""What is found is shown."""

import numpy as np
import pytest

from simreal.bench.log_faults import FAULTS, Fault, planted
from simreal.check_log.checker import CHECKS
from simreal.check_log.subject import make_subject

WITHOUT = {"a file that is cut off", "commands on another clock"}
"""Faults of which no curve says more than the sentence."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}-{fault.base}")
def test_a_check_that_finds_something_shows_where(fault: Fault) -> None:
    finding = CHECKS[fault.check](make_subject(planted(fault, 0)))
    assert finding.verdict in ("warn", "fail")
    if fault.name in WITHOUT:
        assert finding.picture is None
        return
    assert finding.picture is not None
    for time, values in finding.picture.curves.values():
        assert len(time) == len(values) >= 2
        assert np.isfinite(values).any()
