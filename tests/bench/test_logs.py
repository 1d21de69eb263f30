import pytest

from simreal.bench.log_faults import FAULTS, MAKERS, Fault, planted, sound
from simreal.bench.logs import alarms, planted_logs
from simreal.check_log.checker import CHECKS

CASES = [pytest.param(fault, id=f"{fault.name}-{fault.base}") for fault in FAULTS]


@pytest.mark.parametrize("base", MAKERS)
def test_a_sound_log_passes(base: str) -> None:
    assert alarms(sound(base, 0)) == []


@pytest.mark.parametrize("fault", CASES)
def test_a_planted_fault_is_found_by_its_check_alone(fault: Fault) -> None:
    found = {finding.check for finding in alarms(planted(fault, 0))}
    assert fault.check in found
    assert found <= {fault.check, *fault.also}


def test_every_check_has_a_fault_of_its_own() -> None:
    assert set(CHECKS) == {fault.check for fault in FAULTS}


@pytest.mark.long
def test_planted_faults_over_many_seeds() -> None:
    result = planted_logs(5)
    assert (result["missed"], result["found_elsewhere"]) == (0, 0)
