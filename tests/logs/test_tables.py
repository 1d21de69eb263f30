import gzip
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.config import Document
from simreal.configs.log_mappings import shipped_mappings
from simreal.errors import UserError
from simreal.logs.mapping import LogMapping, mapping_of, read_mapping
from simreal.logs.tables import read_csv, read_tables

REAL = Path(os.environ.get("SIMREAL_REAL_LOGS", Path(__file__).parents[3] / "shared/data/real"))
NPZ = """
joints: [arm, pendulum]
actuators: {motor: arm}
time: {step: dt}
channels:
  joint_position: {array: "{run}/states", columns: [0, 1], unit: deg, sign: [1, -1]}
  commanded_voltage: {array: "{run}/actions"}
  applied_voltage: {array: "{run}/applied", optional: true}
provenance: {machine: test}
provenance_from_name: '(?P<excitation>[a-z]+)_.*:(?P<day>[0-9-]+)'
"""
CSV = """
joints: [hinge]
file: "{run}_measured.csv*"
time: {column: t, unit: ms}
channels:
  joint_position: {columns: [q]}
  commanded_effort: {file: "{run}_desired.csv", columns: [1], unit: mN·m}
"""


def mapping(text: str) -> LogMapping:
    return mapping_of(Document(text, "mapping.yaml"))


def write_npz(folder: Path, **more: np.ndarray) -> Path:
    path = folder / "chirp_1.npz"
    arrays = {
        "2021-04-02/states": np.arange(12.0).reshape(4, 3),
        "2021-04-02/actions": np.arange(3.0),
        "2021-04-01/states": np.zeros((4, 3)),
        "2021-04-01/actions": np.zeros((3, 1)),
        "2021-04-01/applied": np.ones((3, 1)),
        "dt": np.array(0.5),
    }
    np.savez(path, **(arrays | more))
    return path


def write_csv(folder: Path, measured: str, desired: str) -> Path:
    (folder / "one_measured.csv").write_text(measured)
    (folder / "one_desired.csv").write_text(desired)
    return folder / "one_measured.csv"


def test_a_unit_of_another_kind_needs_a_constant_that_leads_to_the_channel(tmp_path: Path) -> None:
    text = CSV.replace("unit: mN·m", "unit: mA, scale: 0.5")
    [log] = read_tables(write_csv(tmp_path, "t,q\n0,1\n1,2\n", "x,tau\n0,300\n1,400\n"), mapping(text))
    effort = log["commanded_effort"]
    assert effort.values[:, 0] == pytest.approx([0.15, 0.2]) and effort.units == ("N·m",)


def test_npz_of_several_runs(tmp_path: Path) -> None:
    first, second = read_tables(write_npz(tmp_path), mapping(NPZ))
    assert first.source == "chirp_1.npz:2021-04-01"
    assert first.provenance == {"machine": "test", "excitation": "chirp", "day": "2021-04-01"}
    assert "applied_voltage" in first and "applied_voltage" not in second
    position = second["joint_position"]
    np.testing.assert_array_equal(position.time, [0, 0.5, 1, 1.5])
    np.testing.assert_allclose(
        position.values, np.deg2rad(np.arange(12.0).reshape(4, 3)[:, :2] * [1, -1]), rtol=1e-15
    )
    assert position.names == ("arm", "pendulum") and position.units == ("rad", "rad")
    assert second["commanded_voltage"].names == ("motor",)
    assert len(second["commanded_voltage"]) == 3


def test_csv_and_the_file_beside_it(tmp_path: Path) -> None:
    [log] = read_tables(write_csv(tmp_path, "t,q\n0,1\n20,\n", "t,tau\n7,500\n8,1000\n"), mapping(CSV))
    np.testing.assert_array_equal(log["joint_position"].values[:, 0], [1, np.nan])
    np.testing.assert_allclose(log["joint_position"].time, [0, 0.02])
    np.testing.assert_allclose(log["commanded_effort"].values[:, 0], [0.5, 1])
    assert log["commanded_effort"].units == ("N·m",)


def test_channels_of_one_clock_share_its_array(tmp_path: Path) -> None:
    text = NPZ.replace('"{run}/actions"', '"{run}/states", columns: [2]')
    log = read_tables(write_npz(tmp_path), mapping(text))[0]
    assert log["joint_position"].time is log["commanded_voltage"].time


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), min_size=1, max_size=20
    ),
    zipped=st.booleans(),
)
def test_csv_keeps_every_bit(
    rows: list[tuple[float, float]], zipped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows)
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    header, table = read_csv(path)
    assert header == ("a", "b")
    np.testing.assert_array_equal(table, rows)


@pytest.mark.parametrize(
    ("measured", "desired", "message"),
    [
        ("t,p\n0,1\n", "t,tau\n0,1\n", r"one_measured.csv: no column 'q' for joint_position"),
        ("s,q\n0,1\n", "t,tau\n0,1\n", r"no column 't' for time"),
        ("t,q\n0,1\n1\n", "t,tau\n0,1\n", r"one_measured.csv:3: 1 of 2 columns; is the file cut off\?"),
        ("t,q\n0,1\n1,x\n", "t,tau\n0,1\n", r"one_measured.csv:3: column q: 'x' is no number"),
        ("t,q\n0,1\n1,2\n", "t,tau\n0,1\n", r"commanded_effort has 1 rows, but there are 2 time stamps"),
        ("t,q\n0,1\n,2\n", "t,tau\n0,1\n1,1\n", r"time of joint_position is no number in row 1"),
        ("", "t,tau\n0,1\n", r"no rows below the header \(none\)"),
        ("t;q\n0,0;1,0\n", "t,tau\n0,1\n", "one_measured.csv:1: columns are separated by ';'"),
        ("t\tq\n0\t1\n", "t,tau\n0,1\n", r"columns are separated by '\\t'; CSV is read with commas"),
        ('t,q\n"0,1",1\n', "t,tau\n0,1\n", "'0,1' is no number; numbers have a decimal point"),
        ("t,q\n0,1,1\n", "t,tau\n0,1\n", r"one_measured.csv:2: 3 of 2 columns; commas within numbers\?"),
        (
            "0.5,1\n0.6,1\n",
            "t,tau\n0,1\n",
            "one_measured.csv:1: numbers, where the first line must name",
        ),
        ("t,q,q\n0,1,2\n", "t,tau\n0,1\n", r"2 columns are named 'q': .* its number, one of \[1, 2\]"),
        ('t,q\n0,"' + "1" * 140_000, "t,tau\n0,1\n", "one_measured.csv:2: no line of CSV: field larger"),
        ("t,q\n0,1_000\n", "t,tau\n0,1\n", "column q: '1_000' is no number"),
        ("t,q\n1.7e22,1\n", "t,tau\n0,1\n", "time of joint_position goes to 1.7e.19 s: say its unit"),
    ],
)
def test_faulty_csv(measured: str, desired: str, message: str, tmp_path: Path) -> None:
    text = CSV.replace(
        "columns: [1]", "columns: [tau], time: {file: '{run}_measured.csv', column: t, unit: ms}"
    )
    with pytest.raises(UserError, match=message):
        read_tables(write_csv(tmp_path, measured, desired), mapping(text))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{run}/states", "{run}/stats", "no array named {run}/stats"),
        ("columns: [0, 1]", "columns: [0, 3]", "2021-04-01/states has 3 columns, no column 3"),
        ("dt", "dz", "no array of numbers 'dz' for time: valid: "),
        ("columns: [0, 1], ", "", "joint_position has 3 columns for 2 names"),
        (
            "{run}/actions",
            "{run}/action",
            "no array of numbers '2021-04-01/action' for commanded_voltage",
        ),
    ],
)
def test_an_npz_that_the_mapping_does_not_fit(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as raised:
        read_tables(write_npz(tmp_path), mapping(NPZ.replace(before, after)))
    assert message in str(raised.value)
    assert "chirp_1.npz" in str(raised.value)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("unit: deg", "unit: V", "joint_position: V is no unit of it, but rad, deg, rev, m, mm"),
        ("unit: deg", "unit: deg/s", "joint_position: deg/s is no unit of it"),
        ('run}/actions"', 'run}/actions", unit: A', "commanded_voltage: A is no unit of it, but V, mV"),
        ("unit: deg", "unit: degrees", "mapping.yaml:6: channels.joint_position: no unit 'degrees'"),
        ("motor: arm", "motor: leg", "actuator motor drives 'leg'"),
        ("[arm, pendulum]", "[arm, arm]", "'arm' is named 2 times in ['arm', 'arm']"),
        ("sign: [1, -1]", "sgn: 1", "unknown key 'sgn': did you mean 'sign'?"),
        ("step: dt", "step: dt, array: t", "time needs exactly one of array, column, step"),
        ("columns: [0, 1]", "columns: [0]", "1 columns, but 2 names"),
        ('{array: "{run}/actions"}', "{file: /etc/passwd}", "/etc/passwd is an absolute path: name a"),
        ("(?P<day>[0-9-]+)", "(unclosed", "is no regular expression: missing ), unterminated"),
        ("sign: [1, -1]", "sign: [1]", "joint_position: 2 columns, but 1 sign: [1]"),
        ('run}/actions"', 'run}/actions", scale: [1, 2]', "1 columns, but 2 scale: [1.0, 2.0]"),
        ("applied_voltage:", "apllied_voltage:", "did you mean 'applied_voltage'"),
        ("joint_position:", "joint_positon:", "did you mean 'joint_position'"),
    ],
)
def test_a_faulty_mapping(before: str, after: str, message: str) -> None:
    text = NPZ.replace(before, after)
    if before == "joint_position:":
        text = text.replace("unit: deg, ", "")
    with pytest.raises(UserError) as raised:
        mapping(text)
    assert message in str(raised.value)


def test_a_cut_or_foreign_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut off or damaged"):
        read_tables(path, mapping(NPZ))
    np.savez(path, states=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="no array named"):
        read_tables(path, mapping(NPZ))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="a NumPy array; expected an npz file"):
        read_tables(path, mapping(NPZ))


def test_text_and_objects_beside_the_numbers_of_an_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path, names=np.array(["arm"]), notes=np.array([{"a": 1}], dtype=object))
    assert len(read_tables(path, mapping(NPZ))) == 2
    path = write_npz(tmp_path, dt=np.array(["0.5"]))
    with pytest.raises(UserError, match="no array of numbers 'dt' for time: valid: "):
        read_tables(path, mapping(NPZ))


def test_what_else_an_archive_holds_beside_the_arrays_of_an_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("meta.json", "{}")
    assert len(read_tables(path, mapping(NPZ))) == 2


@pytest.mark.parametrize(
    ("flags", "method", "message"), [(1, 0, "is encrypted"), (0, 97, "compression method is not")]
)
def test_an_npz_that_zipfile_cannot_open(flags: int, method: int, message: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path)
    content = path.read_bytes()
    told = struct.pack("<HH", flags, method)
    for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = content.split(header)
        at = place - len(header)
        parts[1:] = [part[:at] + told + part[at + 4 :] for part in parts[1:]]
        content = header.join(parts)
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"chirp_1\.npz: .* cannot be read: .*{message}"):
        read_tables(path, mapping(NPZ))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(2000000000000,), }", "chirp_1.npz: t does not fit in memory, or is damaged: Unable to"),
        ("(", "chirp_1.npz: the npz file is cut off or damaged"),
    ],
)
def test_an_npz_whose_header_is_damaged(shape: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "chirp_1.npz"
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode())
    with pytest.raises(UserError) as raised:
        read_tables(path, mapping(NPZ))
    assert message in str(raised.value)


def test_a_step_is_one_number(tmp_path: Path) -> None:
    for step in (np.zeros(0), np.arange(4.0)):
        with pytest.raises(UserError, match=f"dt has {len(step)} numbers, a step is one"):
            read_tables(write_npz(tmp_path, dt=step), mapping(NPZ))


def test_a_list_that_does_not_fit_an_array_of_ones_own(tmp_path: Path) -> None:
    text = NPZ.replace("applied_voltage: {", "heat: {unit: [°C, °C], ")
    with pytest.raises(UserError, match="2021-04-01: heat: 1 columns, but 2 unit"):
        read_tables(write_npz(tmp_path), mapping(text))


def test_shipped_mappings_are_valid() -> None:
    assert len(shipped_mappings()) == 3
    for name in shipped_mappings():
        assert read_mapping(name).channels
    with pytest.raises(UserError, match="no mapping 'go2_chrip': did you mean 'go2_chirp'"):
        read_mapping("go2_chrip")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real logs at {REAL} (SIMREAL_REAL_LOGS)")
def test_real_logs_of_three_machines() -> None:
    runs = read_tables(
        REAL / "quanser_qube/swingup_energyctrl_2021-02_6s_250Hz.npz", read_mapping("qube_simurlacra")
    )
    assert len(runs) == 8
    assert max(np.abs(run["commanded_voltage"].values).max() for run in runs) == pytest.approx(
        11.6, abs=0.1
    )
    [go2] = read_tables(REAL / "unitree_go2_chirp/chirp_200Hz.npz", read_mapping("go2_chirp"))
    assert go2["joint_position"].values.shape == (2818, 12)
    [failure] = read_tables(
        REAL / "dfki_simple_pendulum/pd_1nm_failure_measured.csv.gz", read_mapping("simple_pendulum")
    )
    assert set(failure["commanded_effort"].values.ravel()) == {0.9}
