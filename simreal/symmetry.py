"""What a robot that is its own mirror image sees and does in the mirror of the plane of x and z.

A policy's experience holds for the mirrored robot, too, so that each step can be learnt from twice, or
a policy be held to act alike on both sides (Abdolhosseini et al., "On Learning Symmetric Locomotion",
MIG 2019). A mirror keeps places along x and z and turns those along y round; of what turns (angular
velocities, the vector of a quaternion), it keeps what turns about y.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.contract import JOINT_SOURCES, Contract, ObservationTerm
from simreal.errors import UserError
from simreal.observation import owners
from simreal.robots import MirrorConfig

ALONG = (1.0, -1.0, 1.0)
"""Signs of a vector that points somewhere."""
ABOUT = (-1.0, 1.0, -1.0)
"""Signs of a vector that something turns about."""
TURN = (1.0, *ABOUT)
"""Signs of a quaternion w, x, y, z."""
VECTORS = {
    "angular_velocity": ABOUT,
    "linear_acceleration": ALONG,
    "projected_gravity": ALONG,
    "object_position": ALONG,
    "object_orientation": TURN,
}


@dataclass(frozen=True, slots=True)
class SignedPermutation:
    """An array's mirror image: ``image[i] = sign[i] * array[source[i]]``.

    Attributes:
        source: (n,) places.
        sign: (n,) of 1 and -1.
    """

    source: NDArray[np.intp]
    sign: NDArray[np.float64]

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        """The image of (..., n), of the same type of numbers."""
        image: NDArray[Any] = array[..., self.source] * self.sign.astype(array.dtype)
        return image


@dataclass(frozen=True, slots=True)
class Symmetry:
    """The mirror images of what a policy sees and does.

    Attributes:
        observation: of observations before any running normalisation, which need not be symmetric.
        action: of actions in [-1, 1].
        joints: of (..., joints) positions and velocities.
        command: of (..., commands) that are asked.
    """

    observation: SignedPermutation
    action: SignedPermutation
    joints: SignedPermutation
    command: SignedPermutation


def make_symmetry(
    contract: Contract, mirror: MirrorConfig, reversed_commands: Collection[str]
) -> Symmetry:
    """The mirror images of all that a contract describes.

    Objects around the robot count as their own image; the axes of an IMU must be those of the body.

    Args:
        contract: of the policy.
        mirror: of its robot.
        reversed_commands: names of the commands that have the opposite sign in the mirror, such as a
            velocity to the left and a rate of turn.

    Raises:
        UserError: something of the contract has no image in it: default positions, an action mapping
            or an observation that differ from left to right.
    """
    joints = _joints(contract, mirror)
    actuators = _actuators(contract, joints)
    _refuse_lopsided(contract, joints, actuators)
    command = _in_place([-1.0 if each.name in reversed_commands else 1.0 for each in contract.commands])
    for name in reversed_commands:
        if name not in [each.name for each in contract.commands]:
            raise UserError(f"mirror: nothing called {name!r} is asked of this policy")
    images = {"command": command, "previous_action": actuators, "following_error": actuators}
    terms = [
        _repeated(images.get(term.source) or _term_image(term, contract, joints), term.history)
        for term in contract.observation
    ]
    return Symmetry(_joined(terms), actuators, joints, command)


def _joints(contract: Contract, mirror: MirrorConfig) -> SignedPermutation:
    places, signs = mirror.images(contract.robot.joint_names)
    return SignedPermutation(np.array(places, dtype=np.intp), np.array(signs))


def _actuators(contract: Contract, joints: SignedPermutation) -> SignedPermutation:
    """Each actuator's image is that which drives the image of its joint."""
    names = contract.robot.joint_names
    driven = [names.index(actuator.joint) for actuator in contract.robot.actuators]
    return _selected(joints, driven, "actuators")


def _selected(joints: SignedPermutation, chosen: Sequence[int], what: str) -> SignedPermutation:
    """The images of some joints among themselves."""
    wanted = joints.source[list(chosen)]
    if sorted(wanted) != sorted(chosen):
        raise UserError(f"mirror: {what} lack a joint's image; name the joints of both sides")
    source = [chosen.index(int(image)) for image in wanted]
    return SignedPermutation(np.array(source, dtype=np.intp), joints.sign[list(chosen)])


def _term_image(
    term: ObservationTerm, contract: Contract, joints: SignedPermutation
) -> SignedPermutation:
    """The image of one frame of a term."""
    if term.source in JOINT_SOURCES:
        names = contract.robot.joint_names
        chosen = [names.index(name) for name in owners(term, contract)]
        image = _selected(joints, chosen, f"the joints of observation {term.source}")
        even = term.source == "joint_position_cos"
        return SignedPermutation(image.source, np.abs(image.sign)) if even else image
    if term.source not in VECTORS:
        raise UserError(f"observation {term.source}: nothing tells what it is in the mirror")
    signs = VECTORS[term.source]
    return _in_place(signs * (len(owners(term, contract)) // len(signs)))


def _in_place(signs: Sequence[float]) -> SignedPermutation:
    return SignedPermutation(np.arange(len(signs)), np.array(signs, dtype=np.float64))


def _repeated(image: SignedPermutation, times: int) -> SignedPermutation:
    return _joined([image] * times)


def _joined(images: Sequence[SignedPermutation]) -> SignedPermutation:
    """Images of arrays that stand one after the other."""
    starts = np.cumsum([0, *(len(image.source) for image in images)])
    sources = [image.source + start for image, start in zip(images, starts, strict=False)]
    return SignedPermutation(np.concatenate(sources), np.concatenate([image.sign for image in images]))


def _refuse_lopsided(
    contract: Contract, joints: SignedPermutation, actuators: SignedPermutation
) -> None:
    """Raise a `UserError` where the numbers of left and right are not each other's image."""
    scale, offset = np.array(contract.action.scale), np.array(contract.action.offset)
    found = {
        "default positions": (np.array(contract.robot.default_position), joints),
        "action.offset": (offset, actuators),
        "action.scale": (scale, SignedPermutation(actuators.source, np.abs(actuators.sign))),
    }
    for name, (values, image) in found.items():
        if not np.allclose(values, image(values), rtol=1e-6, atol=1e-9):
            raise UserError(f"mirror: {name} of left and right are not each other's image: {values}")
