"""A policy file: ONNX graph, contract and golden vectors in one.

The graph takes `observation` (n, size) and gives `action` (n, actuators) in [-1, 1], both float32. Of a
policy that sees it also takes `image.NAME` (n, channels, height, width), uint8, of each camera. Of a
recurrent policy it also takes `hidden.NAME` and gives `next_hidden.NAME` for each of the contract's
`hidden_states`. Golden vectors are the first steps of an episode: hidden states are zero at their start
and carried through them.

A file comes from anywhere: loading it reaches no other file, and may use so much memory and time. It
ends with a checksum of all before: an edited rate or range would fit graph and golden vectors, too.
"""

import base64
import binascii
import hashlib
import os
import re
import resource
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import ValidationError, model_validator

from simreal.action import ActionPipeline
from simreal.config import Config
from simreal.contract import Contract
from simreal.deploy.inference import HIDDEN, IMAGE, NEXT_HIDDEN, Acting, BatchInference, Inference
from simreal.errors import UserError
from simreal.files import describe
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array, ObservationPipeline
from simreal.robots.policies import find_policy
from simreal.state import IMU_WIDTHS, POSE, RobotState

CONTRACT_KEY = "simreal.contract"
GOLDEN_KEY = "simreal.golden"
EXPERIMENT_KEY = "simreal.experiment"
CHECKSUM_KEY = "simreal.sha256"
OBSERVATION_TOLERANCE = 1e-6
COMMAND_TOLERANCE = 1e-9
ACTION_TOLERANCE = 1e-4
"""Absolute, on actions in [-1, 1]: other processors sum in another order, and no more than that."""
WARM_UP_RUNS = 50
LARGEST_FILE = 256 * 2**20
"""Bytes; the policies of control loops have a thousandth of it."""
MEMORY = 2 * 2**30
"""Bytes that loading and a first run may take."""
FIRST_RUN_S = 10.0
"""s that the first run may take."""

Rows = tuple[tuple[float, ...], ...]


class GoldenVectors(Config):
    """Consecutive states from the start of an episode, and what the policy made of them.

    They prove on the robot's computer that pipeline and graph still do what they did at export.
    """

    joint_position: Rows
    joint_velocity: Rows
    observation: Rows
    action: Rows
    command: Rows
    orientation: Rows = ()
    """This and the next two of a robot with an IMU alone."""
    angular_velocity: Rows = ()
    linear_acceleration: Rows = ()
    asked: Rows = ()
    """Of a policy that is asked something alone."""
    object_pose: Rows = ()
    """Seven numbers for each object that a tracker sees, one after the other."""
    images: dict[str, tuple[str, ...]] = {}
    """What each camera showed at each step: see `packed`."""

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        parts = [rows for name, rows in self if rows and name != "images"]
        parts += self.images.values()
        if len({len(rows) for rows in parts}) != 1 or not self.action:
            raise ValueError("golden vectors are empty or not equally long")
        return self

    def state(self, step: int) -> RobotState:
        """What the robot reported at a step."""
        state = RobotState(0.0, np.array(self.joint_position[step]), np.array(self.joint_velocity[step]))
        for name in IMU_WIDTHS:
            if rows := getattr(self, name):
                setattr(state, name, np.array(rows[step]))
        if self.object_pose:
            state.object_pose = np.array(self.object_pose[step]).reshape(-1, POSE)
        return state

    def images_at(self, step: int, contract: Contract) -> Images:
        """What the cameras of a contract showed at a step, without the leading batch axis."""
        return {
            camera.name: unpacked(self.images[camera.name][step], camera.shape)
            for camera in contract.cameras
        }


def packed(image: NDArray[np.uint8]) -> str:
    """An image as text, without loss."""
    return base64.b64encode(zlib.compress(image.tobytes(), 9)).decode("ascii")


def unpacked(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The image of a shape that was made into text.

    Raises:
        ValueError: it is no such text.
    """
    size = int(np.prod(shape))
    try:
        # So much and no more: a few bytes could unpack to all the memory that there is.
        content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"no packed image: {error}") from None
    if len(content) != size:
        raise ValueError(f"a packed image of other than {size} bytes")
    return np.frombuffer(content, np.uint8).reshape(shape)


@dataclass(frozen=True, slots=True)
class GoldenMismatch:
    """The first golden vector that does not come out as it did at export."""

    step: int
    what: str
    expected: float
    found: float

    def __str__(self) -> str:
        return f"step {self.step}: {self.what}: expected {self.expected!r}, found {self.found!r}"


class Runnable(Protocol):
    """What the loop can run on a robot: a policy, or a course of commands that takes the place of one.

    Attributes:
        contract: what it believes.
        digest: SHA-256 of its file, in hexadecimal digits.
    """

    contract: Contract
    digest: str

    def golden_mismatch(self) -> GoldenMismatch | None:
        """Where it does not do on this computer what it did when it was made, or None."""

    def warmed_up(self) -> Acting:
        """What acts on one robot, at the start of an episode, without first runs that are slower."""


class Policy:
    """A loaded policy.

    Attributes:
        contract: what it believes.
        golden: its golden vectors.
        experiment: the resolved configuration that it was trained with, as JSON text.
        digest: SHA-256 of its file, in hexadecimal digits: a log names by it the policy that ran.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        metadata: Mapping[str, str],
        source: str,
        digest: str,
    ) -> None:
        """Take a session and the metadata of its file, and hold them against each other."""
        missing = [key for key in (CONTRACT_KEY, GOLDEN_KEY) if key not in metadata]
        if missing:
            raise UserError(
                f"{source}: an ONNX file, but no policy of simreal: no {' and no '.join(missing)} "
                "in its metadata; make one with `simreal export`"
            )
        self.contract = Contract.from_json(metadata[CONTRACT_KEY], source)
        self.golden = _golden(metadata[GOLDEN_KEY], source)
        self.experiment = metadata.get(EXPERIMENT_KEY)
        self.digest = digest
        _check_widths(self.golden, self.contract, source)
        self._session = session
        self._observation, self._action = _check_graph(session, self.contract, source)

    def act(self, observation: Float32Array, images: Images = NO_IMAGES) -> NDArray[np.float32]:
        """(n, size) observations to (n, actuators) actions in [-1, 1]; of a policy without memory.

        Args:
            observation: (n, size).
            images: of a policy that sees, of each camera (n, channels, height, width).

        Raises:
            UserError: the policy is recurrent.
        """
        if self.contract.hidden_states:
            raise UserError("a recurrent policy acts step by step: use batch() or inference()")
        given = {IMAGE + name: seen for name, seen in images.items()} | {self._observation: observation}
        action: NDArray[np.float32] = self._session.run(None, given)[0]
        return action

    def batch(self) -> BatchInference:
        """What acts step by step on a batch of episodes, at their start; of a recurrent policy."""
        hidden = self.contract.hidden_states
        return BatchInference(self._session, self._observation, self._action, hidden)

    def inference(self) -> Inference:
        """What acts step by step on one robot, at the start of an episode."""
        sizes = ObservationPipeline(self.contract).size, len(self.contract.robot.actuators)
        hidden = self.contract.hidden_states
        cameras = self.contract.cameras
        return Inference(self._session, self._observation, self._action, sizes, hidden, cameras)

    def warmed_up(self) -> Inference:
        """The same after some runs: the first ones allocate."""
        inference = self.inference()
        observation = np.array(self.golden.observation[0], dtype=np.float32)
        images = self.golden.images_at(0, self.contract)
        for _ in range(WARM_UP_RUNS):
            inference(observation, images)
        inference.begin()
        return inference

    def golden_mismatch(self) -> GoldenMismatch | None:
        """Replay the golden vectors on this machine; the first deviation, or None."""
        golden = self.golden
        pipeline, to_command = ObservationPipeline(self.contract), ActionPipeline(self.contract)
        previous, inference = np.zeros(len(self.contract.robot.actuators)), self.inference()
        for step in range(len(golden.action)):
            state, asked = golden.state(step), np.array(golden.asked[step] if golden.asked else ())
            if step == 0:
                to_command.begin(state.joint_position)
            observe = pipeline.begin if step == 0 else pipeline
            observation = observe(state, previous, command=asked, target=to_command.target)
            wrong = _deviation(observation, golden.observation[step], OBSERVATION_TOLERANCE)
            if wrong is not None:
                return GoldenMismatch(step, pipeline.names[wrong[0]], *wrong[1:])
            action = inference(observation, golden.images_at(step, self.contract))
            wrong = _deviation(action, golden.action[step], ACTION_TOLERANCE)
            if wrong is not None:
                name = self.contract.robot.actuator_names[wrong[0]]
                return GoldenMismatch(step, f"action[{name}]", *wrong[1:])
            previous = np.array(golden.action[step])
            wrong = _deviation(to_command(previous).target, golden.command[step], COMMAND_TOLERANCE)
            if wrong is not None:
                name = self.contract.robot.actuator_names[wrong[0]]
                return GoldenMismatch(step, f"command[{name}]", *wrong[1:])
        return None


def _deviation(
    found: NDArray[np.floating[Any]], expected: tuple[float, ...], tolerance: float
) -> tuple[int, float, float] | None:
    """Place, expected and found value of the relatively largest deviation beyond a tolerance."""
    deviation = np.abs(found - np.array(expected)) / np.maximum(1.0, np.abs(expected))
    place = int(np.argmax(np.where(np.isfinite(deviation), deviation, np.inf)))
    if deviation[place] <= tolerance:
        return None
    return place, expected[place], float(found[place])


def sealed(content: bytes) -> bytes:
    """A policy file with its checksum: whoever changes a byte of it afterwards is found out.

    It finds edits and damage, and proves no origin: who edits a file can seal it anew.

    Args:
        content: of an ONNX file with contract and golden vectors, without a checksum.
    """
    return content + _checksum_entry(content)


def _checksum_entry(content: bytes) -> bytes:
    """Field 14 of ONNX's ModelProto, an entry of metadata: a key (1) and a value (2).

    Protocol buffers may be appended to, and onnxruntime reads it as any other entry.
    """
    key, value = CHECKSUM_KEY.encode(), hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    return b"\x72" + bytes([len(entry)]) + entry


def _check_checksum(content: bytes, metadata: Mapping[str, str], source: str) -> None:
    length = len(_checksum_entry(b""))
    if content[-length:] == _checksum_entry(content[:-length]):
        return
    if CHECKSUM_KEY in metadata:
        found = "was changed since it was exported (its checksum is another)"
    else:
        found = f"has no checksum ({CHECKSUM_KEY} in its metadata): changed, or of an older simreal"
    raise UserError(f"{source}: {found}; export it again: simreal export RUN -o FILE.onnx")


def load_policy(path: str | PathLike[str]) -> Policy:
    """Load a policy from its file, or one that comes with a robot by its name.

    Raises:
        UserError: no such file, another kind of file, a damaged one, one whose parts do not fit, or one
            that was changed since it was exported.
    """
    path = find_policy(Path(path))
    if (path / "run.json").is_file():
        raise UserError(
            f"{path}: a run; a policy file is made of it by: simreal export {path} -o {path.name}.onnx"
        )
    if not path.is_file():
        raise UserError(f"{path}: {'a folder; expected .onnx' if path.is_dir() else 'no such file'}")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: larger than {LARGEST_FILE >> 20} MiB: no policy of a control loop")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    with _bounded_memory():
        try:
            # From memory: a graph that points to other files on this machine cannot reach them.
            # Without the fallback, which prints: there is but the one provider.
            session = onnxruntime.InferenceSession(
                content, _options(), providers=["CPUExecutionProvider"], enable_fallback=0
            )
            metadata = session.get_modelmeta().custom_metadata_map
        except Exception as error:
            # onnxruntime raises many kinds of its own for what is not a graph or a damaged one.
            raise UserError(
                f"{path}: {describe(path)}; expected a policy made by `simreal export` "
                f"({_reason(error)})"
            ) from None
        policy = Policy(session, metadata, str(path), hashlib.sha256(content).hexdigest())
        # Last: what is wrong with a part of it says more than that something is.
        _check_checksum(content, metadata, str(path))
        return policy


def _options() -> onnxruntime.SessionOptions:
    # One thread: a pool of them would spin between the calls of a control loop.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return options


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let no more memory be allocated than `MEMORY`: a few bytes of ONNX can ask for all there is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    bound = used + MEMORY
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _reason(error: Exception) -> str:
    """In its own words, less the label that onnxruntime puts before them."""
    text = str(error).partition("\n")[0]
    if "INVALID_PROTOBUF" in text:
        return "cut off, or damaged"
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)[:200]


def _golden(text: str, source: str) -> GoldenVectors:
    try:
        return GoldenVectors.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{source}: damaged golden vectors: {error.errors()[0]['msg']}") from None


def _check_widths(golden: GoldenVectors, contract: Contract, source: str) -> None:
    """Hold the golden vectors' rows against the contract."""
    joints, actuators = len(contract.robot.joints), len(contract.robot.actuators)
    widths = {
        "joint_position": joints,
        "joint_velocity": joints,
        "observation": ObservationPipeline(contract).size,
        "action": actuators,
        "command": actuators,
        "asked": len(contract.commands),
        "object_pose": POSE * len(contract.objects),
        **(IMU_WIDTHS if contract.robot.imu else dict.fromkeys(IMU_WIDTHS, 0)),
    }
    for name, width in widths.items():
        rows = getattr(golden, name)
        if any(len(row) != width for row in rows) or (width and not rows):
            raise UserError(
                f"{source}: damaged golden vectors: {name} needs {width} numbers in each row"
            )
    try:
        if golden.images.keys() != {camera.name for camera in contract.cameras}:
            raise ValueError("other cameras than the contract has")
        for step in range(len(golden.action)):
            golden.images_at(step, contract)
    except ValueError as error:
        raise UserError(f"{source}: damaged golden vectors: {error}") from None


def _check_graph(
    session: onnxruntime.InferenceSession, contract: Contract, source: str
) -> tuple[str, str]:
    """Hold the graph against the contract, and run it once; the names of observation and action."""
    size, actuators = ObservationPipeline(contract).size, len(contract.robot.actuators)
    try:
        inputs = {put.name: put for put in session.get_inputs()}
        outputs = {put.name: put for put in session.get_outputs()}
        shapes = {name: put.shape or [None] for name, put in (inputs | outputs).items()}
    except UnicodeDecodeError:
        raise UserError(f"{source}: a damaged ONNX file: a name in it is no text") from None
    hidden = {each.name: list(each.shape) for each in contract.hidden_states}
    cameras = {IMAGE + camera.name: list(camera.shape) for camera in contract.cameras}
    expected = (
        {HIDDEN + name for name in hidden} | cameras.keys(),
        {NEXT_HIDDEN + name for name in hidden},
    )
    main = (
        [name for name in inputs if name not in expected[0]],
        [name for name in outputs if name not in expected[1]],
    )
    # A policy that chooses tells the number of its choice and the worth of each, too.
    counts = [1, 3 if contract.action.choices else 1]
    found = [len(names) for names in main]
    wanted_inputs = 1 + len(hidden) + len(cameras)
    if found != counts or len(inputs) != wanted_inputs or len(outputs) != counts[1] + len(hidden):
        raise UserError(
            f"{source}: the graph has inputs {', '.join(inputs)} and outputs {', '.join(outputs)}; "
            f"expected observation, action{_hidden_words(hidden)}{_camera_words(cameras)}"
        )
    observation, action = main[0][0], main[1][0]
    if [shapes[observation][-1], shapes[action][-1]] != [size, actuators]:
        raise UserError(
            f"{source}: the graph maps {shapes[observation][-1]} numbers to {shapes[action][-1]}, the "
            f"contract {size} to {actuators}: the file was put together wrongly"
        )
    if any(inputs[name].type != "tensor(uint8)" for name in cameras):
        raise UserError(f"{source}: the graph's images are not all uint8")
    numbers = [put for name, put in inputs.items() if name not in cameras]
    numbers += [outputs[name] for name in (action, *expected[1])]
    if any(put.type != "tensor(float)" for put in numbers):
        raise UserError(f"{source}: the graph's inputs and outputs are not all float32")
    given = {observation: [size], **{HIDDEN + name: shape for name, shape in hidden.items()}, **cameras}
    wanted = {action: [actuators], **{NEXT_HIDDEN + name: shape for name, shape in hidden.items()}}
    for name, shape in _run_once(session, given, list(wanted), source).items():
        if shape != (2, *wanted[name]):
            raise UserError(
                f"{source}: the graph makes {shape} of two observations, not {(2, *wanted[name])}"
            )
    return observation, action


def _run_once(
    session: onnxruntime.InferenceSession,
    given: Mapping[str, list[int]],
    wanted: list[str],
    source: str,
) -> dict[str, tuple[int, ...]]:
    """The shapes that come out of two observations; not waited for longer than `FIRST_RUN_S`."""
    values = {
        name: np.zeros((2, *shape), np.uint8 if name.startswith(IMAGE) else np.float32)
        for name, shape in given.items()
    }
    limit = onnxruntime.RunOptions()
    limit.log_severity_level = 4
    alarm = threading.Timer(FIRST_RUN_S, setattr, (limit, "terminate", True))
    alarm.daemon = True
    alarm.start()
    try:
        outputs = session.run(wanted, values, limit)
        return {name: output.shape for name, output in zip(wanted, outputs, strict=True)}
    except Exception as error:
        raise UserError(f"{source}: the graph cannot be run ({_reason(error)})") from None
    finally:
        alarm.cancel()


def _hidden_words(hidden: Mapping[str, object]) -> str:
    return "".join(f", {HIDDEN}{name} and {NEXT_HIDDEN}{name}" for name in hidden)


def _camera_words(cameras: Mapping[str, object]) -> str:
    return "".join(f", {name}" for name in cameras)
