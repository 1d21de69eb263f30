"""Everything that is asked before a policy moves a robot."""

from simreal.deploy.preflight.fit import (
    contract_objections,
    golden_objections,
    objections,
    refuse_missing_sensors,
)

__all__ = ["contract_objections", "golden_objections", "objections", "refuse_missing_sensors"]
