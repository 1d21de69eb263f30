import json
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from simreal.contract import Contract, TrainedRange
from simreal.deploy.policy import (
    ACTION_TOLERANCE,
    CHECKSUM_KEY,
    CONTRACT_KEY,
    GOLDEN_KEY,
    OBSERVATION_TOLERANCE,
    load_policy,
    sealed,
)
from simreal.errors import UserError

WriteFile = Callable[..., Path]
# The fixtures below give the same files to every example.
many = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _message(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_policy(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def _metadata(path: Path) -> dict[str, str]:
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def _rewritten(
    path: Path, change: Callable[[onnx.ModelProto], object], name: str = "changed.onnx"
) -> Path:
    model = onnx.load(path)
    change(model)
    changed = path.with_name(name)
    changed.write_bytes(sealed(model.SerializeToString()))
    return changed


def test_a_good_file_gives_its_contract_and_acts(policy_file: WriteFile, contract: Contract) -> None:
    policy = load_policy(policy_file(bias=0.25, gain=2.0))
    assert policy.contract == contract
    assert policy.golden_mismatch() is None
    policy.warmed_up()
    observation = np.zeros((3, 7), np.float32)
    observation[:, 0] = [0.0, 0.1, -0.1]
    np.testing.assert_allclose(policy.act(observation)[:, 0], [0.25, 0.45, 0.05], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"learning_rate: 3\n", "a text file"),
        (b'{"version": 1}', "a JSON file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
        (b"\x89MCAP0\r\n" + bytes(30), "an MCAP log"),
        (b"\x80\x04\x95" + bytes(30), "a Python pickle"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(content)
    message = _message(path)
    assert kind in message
    assert "simreal export" in message


def test_a_stable_baselines3_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("policy.pth", b"weights")
    assert "stable-baselines3" in _message(path)


def test_what_is_not_there_or_a_folder_is_said(tmp_path: Path) -> None:
    assert "no such file" in _message(tmp_path / "absent.onnx")
    assert "a folder" in _message(tmp_path)


@many
@given(content=st.binary(max_size=400))
def test_random_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "random.onnx"
    path.write_bytes(content)
    _message(path)


@many
@given(data=st.data())
def test_a_file_cut_off_anywhere_is_refused(policy_file: WriteFile, data: st.DataObject) -> None:
    path = policy_file()
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert "ONNXRuntimeError" not in _message(path)


@many
@given(data=st.data())
def test_a_damaged_byte_is_never_more_than_a_message(
    policy_file: WriteFile, data: st.DataObject
) -> None:
    path = policy_file(bias=0.1)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(sealed(bytes(content)))  # by somebody who wants it read all the same
    try:
        load_policy(path).golden_mismatch()
    except UserError as error:
        assert str(path) in str(error)  # and no other error comes out


@many
@given(data=st.data())
def test_any_change_after_export_is_found(policy_file: WriteFile, data: st.DataObject) -> None:
    """A rate, a range or a weight that was edited fits all else that is in the file."""
    path = policy_file(bias=0.1)
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    _message(path)


def _edited(path: Path, old: str, new: str) -> Path:
    """A copy whose contract was edited with ONNX's own tools, which keep all else."""
    model = onnx.load(path)
    entry = next(each for each in model.metadata_props if each.key == CONTRACT_KEY)
    assert old in entry.value
    entry.value = entry.value.replace(old, new)
    edited = path.with_name("edited.onnx")
    onnx.save(model, edited)
    return edited


def test_an_edited_contract_is_refused_though_all_in_it_is_possible(
    policy_file: WriteFile, contract: Contract
) -> None:
    latency = TrainedRange(name="action_latency_ms", unit="ms", operation="absolute", low=0.0, high=8.0)
    path = policy_file(contract=contract.model_copy(update={"trained_ranges": (latency,)}))
    assert load_policy(path).contract.trained_ranges == (latency,)
    for old, new in (('"control_rate":100.0', '"control_rate":120.0'), ('"high":8.0', '"high":80.0')):
        assert "was changed since it was exported" in _message(_edited(path, old, new))


def test_a_file_without_a_checksum_is_refused(policy_file: WriteFile) -> None:
    path = policy_file()
    model = onnx.load(path)
    kept = {each.key: each.value for each in model.metadata_props if each.key != CHECKSUM_KEY}
    onnx.helper.set_model_props(model, kept)
    path.write_bytes(model.SerializeToString())
    assert "has no checksum" in _message(path)
    path.write_bytes(sealed(model.SerializeToString()))
    load_policy(path)


def test_onnx_tools_that_change_nothing_do_not_break_the_seal(policy_file: WriteFile) -> None:
    path = policy_file()
    onnx.save(onnx.load(path), path)
    load_policy(path)


def test_a_changed_weight_is_found_by_the_golden_vectors(policy_file: WriteFile) -> None:
    def change(model: onnx.ModelProto) -> None:
        weight = next(each for each in model.graph.initializer if each.name == "weight")
        values = onnx.numpy_helper.to_array(weight).copy()
        values[2] += 0.01
        weight.CopyFrom(onnx.numpy_helper.from_array(values, "weight"))

    mismatch = load_policy(_rewritten(policy_file(), change)).golden_mismatch()
    assert mismatch is not None
    assert str(mismatch).startswith("step 0: action[motor]: expected 0.0, found 0.00999")


@pytest.mark.parametrize("removed", [(CONTRACT_KEY,), (GOLDEN_KEY,), (CONTRACT_KEY, GOLDEN_KEY)])
def test_a_plain_onnx_file_is_no_policy_and_what_it_lacks_is_named(
    policy_file: WriteFile, removed: tuple[str, ...]
) -> None:
    message = _message(policy_file(metadata=dict.fromkeys(removed, "")))
    for key in (CONTRACT_KEY, GOLDEN_KEY):
        assert (f"no {key}" in message) is (key in removed)
    assert "simreal export" in message


@many
@given(data=st.data())
def test_a_contract_or_golden_vectors_cut_off_anywhere_are_refused(
    policy_file: WriteFile, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([CONTRACT_KEY, GOLDEN_KEY]))
    text = _metadata(policy_file())[key]
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    message = _message(policy_file(metadata={key: cut}))
    assert ("golden" if key == GOLDEN_KEY else "contract") in message


def test_a_contract_of_another_version_says_what_to_do(policy_file: WriteFile) -> None:
    text = _metadata(policy_file())[CONTRACT_KEY].replace('"version":1', '"version":2')
    message = _message(policy_file(metadata={CONTRACT_KEY: text}))
    assert "version 2" in message
    assert "export again" in message


def test_metadata_that_is_no_text_is_refused(policy_file: WriteFile) -> None:
    path = policy_file()
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"joint_position"', b'"joint_positio\xff"'))
    _message(path)


@pytest.mark.parametrize(
    ("attributes", "numbers"),
    [({"inputs": 8}, ["8 numbers to 1", "7 to 1"]), ({"outputs": 2}, ["7 numbers to 2", "7 to 1"])],
)
def test_graph_and_contract_of_different_sizes_are_told_apart(
    policy_file: WriteFile, attributes: dict[str, int], numbers: list[str]
) -> None:
    golden = _metadata(policy_file())[GOLDEN_KEY]
    message = _message(policy_file(**attributes, metadata={GOLDEN_KEY: golden}))
    assert all(number in message for number in numbers)


def _scalar_output(model: onnx.ModelProto) -> None:
    model.graph.node.add(op_type="ReduceSum", input=["action"], output=["sum"]).attribute.append(
        onnx.helper.make_attribute("keepdims", 0)
    )
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("sum", TensorProto.FLOAT, []))


def _one_row_only(model: onnx.ModelProto) -> None:
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def _weights_elsewhere(model: onnx.ModelProto) -> None:
    weight = next(each for each in model.graph.initializer if each.name == "weight")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")


@pytest.mark.parametrize("change", [_scalar_output, _one_row_only, _weights_elsewhere])
def test_a_graph_that_is_no_policys_is_refused(
    policy_file: WriteFile, change: Callable[[onnx.ModelProto], None]
) -> None:
    _message(_rewritten(policy_file(), change))


def test_a_graph_that_cannot_be_run_is_refused(policy_file: WriteFile) -> None:
    golden = _metadata(policy_file())[GOLDEN_KEY]
    path = policy_file(column=99, metadata={GOLDEN_KEY: golden})
    assert "cannot be run" in _message(path)


@pytest.mark.parametrize("name", ["joint_position", "joint_velocity", "observation", "action"])
def test_golden_vectors_of_the_wrong_width_or_length_are_refused(
    policy_file: WriteFile, name: str
) -> None:
    def spoilt(change: Callable[[list[Any]], object]) -> Path:
        golden = json.loads(_metadata(policy_file())[GOLDEN_KEY])
        change(golden[name])
        return policy_file(metadata={GOLDEN_KEY: json.dumps(golden)})

    for change in (lambda rows: rows[1].pop(), lambda rows: rows[2].append(0.0)):
        message = _message(spoilt(change))
        assert "golden vectors" in message
        assert name in message
    assert "equally long" in _message(spoilt(list.pop))
    assert "golden vectors" in _message(spoilt(lambda rows: rows[0].__setitem__(0, "text")))


@many
@given(data=st.data())
def test_a_tampered_golden_output_is_named_with_its_step(
    policy_file: WriteFile, data: st.DataObject
) -> None:
    golden = json.loads(_metadata(policy_file(bias=0.1, gain=1.0))[GOLDEN_KEY])
    name, tolerance = data.draw(
        st.sampled_from([("observation", OBSERVATION_TOLERANCE), ("action", ACTION_TOLERANCE)])
    )
    step = data.draw(st.integers(0, len(golden[name]) - 1))
    place = data.draw(st.integers(0, len(golden[name][0]) - 1))
    change = data.draw(st.floats(3 * tolerance, 1.0)) * data.draw(st.sampled_from([-1, 1]))
    golden[name][step][place] += change
    path = policy_file(bias=0.1, gain=1.0, metadata={GOLDEN_KEY: json.dumps(golden)})
    mismatch = load_policy(path).golden_mismatch()
    assert mismatch is not None
    entries = ("joint_position[arm]", "joint_position_sin[pendulum]", "joint_position_cos[pendulum]")
    velocities = ("joint_velocity[arm]", "joint_velocity[pendulum]")
    actions = ("previous_action[motor]", "previous_action[motor] t-1")
    names = (*entries, *velocities, *actions) if name == "observation" else ("action[motor]",)
    assert (mismatch.step, mismatch.what) == (step, names[place])
    assert mismatch.expected == golden[name][step][place]
    assert mismatch.found == pytest.approx(golden[name][step][place] - change, abs=1e-6)


@pytest.mark.parametrize(
    ("field", "joint", "what"),
    [
        ("joint_position", 0, "joint_position[arm]"),
        ("joint_position", 1, "joint_position_sin[pendulum]"),
        ("joint_velocity", 1, "joint_velocity[pendulum]"),
    ],
)
def test_a_tampered_golden_state_is_named_with_its_step(
    policy_file: WriteFile, field: str, joint: int, what: str
) -> None:
    golden = json.loads(_metadata(policy_file())[GOLDEN_KEY])
    golden[field][2][joint] += 0.01
    mismatch = load_policy(policy_file(metadata={GOLDEN_KEY: json.dumps(golden)})).golden_mismatch()
    assert mismatch is not None
    assert (mismatch.step, mismatch.what) == (2, what)


def test_a_difference_of_another_processors_rounding_is_none(policy_file: WriteFile) -> None:
    golden = json.loads(_metadata(policy_file(bias=0.1))[GOLDEN_KEY])
    golden["action"][-1][0] += 0.5 * ACTION_TOLERANCE
    golden["command"][-1][0] += 0.5 * ACTION_TOLERANCE * 4.0
    golden["observation"][-1][0] += 0.5 * OBSERVATION_TOLERANCE
    path = policy_file(bias=0.1, metadata={GOLDEN_KEY: json.dumps(golden)})
    assert load_policy(path).golden_mismatch() is None


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_graph_that_gives_no_number_is_a_mismatch(policy_file: WriteFile, value: str) -> None:
    golden = _metadata(policy_file())[GOLDEN_KEY]
    path = policy_file(then=value, beyond=-1.0, metadata={GOLDEN_KEY: golden})
    mismatch = load_policy(path).golden_mismatch()
    assert mismatch is not None
    assert str(mismatch) == f"step 0: action[motor]: expected 0.0, found {value}"


def test_a_changed_action_scale_is_found_by_the_golden_vectors(policy_file: WriteFile) -> None:
    metadata = _metadata(policy_file())
    contract = json.loads(metadata[CONTRACT_KEY])
    contract["action"]["scale"] = [1.01 * value for value in contract["action"]["scale"]]
    path = policy_file(
        bias=0.5,
        metadata={
            CONTRACT_KEY: json.dumps(contract),
            GOLDEN_KEY: _metadata(policy_file(bias=0.5))[GOLDEN_KEY],
        },
    )
    mismatch = load_policy(path).golden_mismatch()
    assert mismatch is not None
    assert mismatch.what == "command[motor]"


def _hostile(path: Path, nodes: list[onnx.NodeProto], *constants: onnx.TensorProto) -> Path:
    """A policy file whose graph has more in it, that the action depends on."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        [action] = [node for node in graph.node if node.output[0] == "action"]
        action.output[0] = "honest"
        graph.node.extend(nodes)
        graph.node.append(onnx.helper.make_node("Add", ["honest", "hostile"], ["action"]))
        graph.initializer.extend(constants)

    return _rewritten(path, change)


def test_a_graph_that_asks_for_all_memory_is_refused(policy_file: WriteFile) -> None:
    """Some bytes that mean four terabytes."""
    node = onnx.helper.make_node
    shape = onnx.numpy_helper.from_array(np.array([10**12], np.int64), "shape")
    constant = [node("ConstantOfShape", ["shape"], ["much"]), node("ReduceMax", ["much"], ["hostile"])]
    _message(_hostile(policy_file(), constant, shape))
    # And where it is known only when it runs: 1e6 x 1e6 of the observation's sum.
    grown = [
        node("Expand", ["observation", "wide"], ["much"]),
        node("ReduceMax", ["much"], ["hostile"], keepdims=0),
    ]
    wide = onnx.numpy_helper.from_array(np.array([10**6, 10**4, 1, 1], np.int64), "wide")
    _message(_hostile(policy_file(), grown, wide))


def test_a_graph_that_never_ends_is_refused(
    policy_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simreal.deploy.policy.FIRST_RUN_S", 0.3)
    make, tensor = onnx.helper, TensorProto
    body = make.make_graph(
        [
            make.make_node("Identity", ["go"], ["still"]),
            make.make_node("Sin", ["value"], ["next"]),
        ],
        "body",
        [
            make.make_tensor_value_info("step", tensor.INT64, []),
            make.make_tensor_value_info("go", tensor.BOOL, []),
            make.make_tensor_value_info("value", tensor.FLOAT, [1]),
        ],
        [
            make.make_tensor_value_info("still", tensor.BOOL, []),
            make.make_tensor_value_info("next", tensor.FLOAT, [1]),
        ],
    )
    loop = make.make_node("Loop", ["forever", "yes", "seed"], ["hostile"], body=body)
    constants = [
        onnx.numpy_helper.from_array(np.array(2**62, np.int64), "forever"),
        onnx.numpy_helper.from_array(np.array(True), "yes"),
        onnx.numpy_helper.from_array(np.array([0.5], np.float32), "seed"),
    ]
    assert "cannot be run" in _message(_hostile(policy_file(), [loop], *constants))


def test_an_operator_of_somebodys_own_is_refused(policy_file: WriteFile) -> None:
    node = onnx.helper.make_node("Backdoor", ["observation"], ["hostile"], domain="evil.example")
    path = _hostile(policy_file(), [node])
    model = onnx.load(path)
    model.opset_import.append(onnx.helper.make_opsetid("evil.example", 1))
    path.write_bytes(sealed(model.SerializeToString()))
    assert "expected a policy" in _message(path)


def test_a_file_that_is_far_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    with path.open("wb") as file:
        file.truncate(10**12)  # a hole, that takes no room on the disk
    assert "larger than 256 MiB" in _message(path)


def test_the_memory_that_a_process_may_take_is_given_back(policy_file: WriteFile) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    load_policy(policy_file())
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize("place", ["weights.bin", "../weights.bin", "absolute"])
def test_weights_in_another_file_are_not_read_even_where_it_is_there(
    policy_file: WriteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below" if place.startswith("..") else tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(4 * 7))

    def change(model: onnx.ModelProto) -> None:
        _weights_elsewhere(model)
        weight = next(each for each in model.graph.initializer if each.name == "weight")
        location = str(tmp_path / "weights.bin") if place == "absolute" else place
        weight.external_data[0].value = location

    _message(_rewritten(policy_file(), change))
