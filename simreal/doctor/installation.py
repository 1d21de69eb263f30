"""Versions of what matters, what does not fit simreal, and packages that overwrite each other."""

import platform
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from simreal.doctor.diagnosis import Diagnosis

OTHERS = ("torch", "stable-baselines3", "gymnasium", "dm_control", "pybullet", "evdev", "rerun-sdk")
"""Beside the base dependencies, what a person asks for first when something is odd."""
IMPORTS = {
    "scservo_sdk": "feetech-servo-sdk",
    "dynamixel_sdk": "dynamixel-sdk",
    "can": "python-can",
    "serial": "pyserial",
    "cv2": "opencv-python-headless",
    "evdev": "evdev",
}
"""Top-level modules that several packages bring, and the one that simreal means."""


def versions(root: Path) -> Iterator[Diagnosis]:
    """What is installed."""
    base = [Requirement(text).name for text in requires("simreal") or () if "extra ==" not in text]
    found = {"Python": platform.python_version()}
    for name in ("simreal", *base, *OTHERS):
        if (number := _version(name)) is not None:
            found[name] = number
    yield Diagnosis("ok", "versions", ", ".join(f"{name} {number}" for name, number in found.items()))


def requirements(root: Path) -> Iterator[Diagnosis]:
    """Packages in versions that simreal does not work with. Extras that are absent are no fault."""
    found = False
    for text in requires("simreal") or ():
        wanted = Requirement(text)
        number, extra = _version(wanted.name), _extra(wanted)
        if wanted.name == "simreal" or not _applies(wanted, extra):
            continue
        fits = extra if number is None else wanted.specifier.contains(number, prereleases=True)
        if fits:
            continue
        found = True
        state = "is missing" if number is None else f"{number} is installed"
        need = f"{wanted.name}{wanted.specifier}"
        yield Diagnosis(
            "problem",
            f"requirement {wanted.name}",
            f"{state}; simreal needs {wanted.specifier or 'it'}",
            f"pip install '{need}'",
        )
    if not found:
        yield Diagnosis("ok", "requirements", "every package is in a version that simreal works with")


def clashes(root: Path) -> Iterator[Diagnosis]:
    """Packages that write the same files: whichever came last wins, or half of it."""
    for module, owning in _owners(IMPORTS).items():
        owners = sorted(owning)
        if len(owners) > 1:
            yield Diagnosis(
                "problem",
                f"module {module}",
                f"{' and '.join(owners)} both bring it, and overwrite each other",
                f"pip uninstall -y {' '.join(owners)} && pip install {IMPORTS[module]}",
            )
    torch = _version("torch")
    if torch is not None and _is_cuda(torch):
        yield Diagnosis(
            "note",
            "torch",
            f"{torch} is a build for CUDA: gigabytes, and no faster for networks of this size",
            "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cpu",
        )


def _is_cuda(torch: str) -> bool:
    return "+cu" in torch or ("+" not in torch and _version("nvidia-cublas-cu12") is not None)


def _owners(modules: Iterable[str]) -> dict[str, set[str]]:
    """By top-level module, names of the installed packages that bring it."""
    brings = {file: name for name in modules for file in (f"{name}.py", f"{name}/__init__.py")}
    owners: dict[str, set[str]] = {name: set() for name in brings.values()}
    for each in distributions():  # once: each list of files is long
        for file in each.files or ():
            if (module := brings.get(str(file))) is not None:
                owners[module].add(each.metadata["Name"])
    return owners


def _extra(wanted: Requirement) -> bool:
    return wanted.marker is not None and "extra" in str(wanted.marker)


def _applies(wanted: Requirement, extra: bool) -> bool:
    if wanted.marker is None:
        return True
    names = re.findall(r'extra == "([^"]+)"', str(wanted.marker)) if extra else [""]
    return any(wanted.marker.evaluate({"extra": name}) for name in names)


def _version(name: str) -> str | None:
    try:
        distribution(name)
        return version(name)
    except PackageNotFoundError:
        return None
