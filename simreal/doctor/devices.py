"""Serial adapters, CAN interfaces and gamepads: whether this user reaches them, and how fast."""

import grp
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from simreal.doctor.diagnosis import Diagnosis

SERIAL_PORTS = ("ttyUSB*", "ttyACM*", "ttyTHS*", "ttyAMA*")
CAN_INTERFACE = "280"
"""ARPHRD_CAN, the kernel's number of that kind of network interface."""
UP = 1
"""IFF_UP."""
LATENCY_RULE = 'ACTION=="add", SUBSYSTEM=="usb-serial", ATTR{latency_timer}="1"'
"""For udev: the kernel forgets the timer whenever the adapter is unplugged."""


def serial_ports(root: Path) -> Iterator[Diagnosis]:
    """Permission, and the time that a USB adapter waits before it hands over a short reply."""
    ports = sorted(port for pattern in SERIAL_PORTS for port in (root / "dev").glob(pattern))
    if not ports:
        yield Diagnosis("note", "serial ports", "none is plugged in")
    for port in ports:
        yield _permission(f"serial port {port.name}", port)
        yield from _latency_timer(root, port.name)


def _latency_timer(root: Path, port: str) -> Iterator[Diagnosis]:
    file = root / "sys/bus/usb-serial/devices" / port / "latency_timer"
    with suppress(OSError, ValueError):
        latency = int(file.read_text())
        check, text = f"latency timer of {port}", f"{latency} ms"
        if latency <= 1:
            yield Diagnosis("ok", check, text)
            return
        yield Diagnosis(
            "warning",
            check,
            f"{text}: each short reply of a servo waits that long",
            f"echo 1 | sudo tee /sys/bus/usb-serial/devices/{port}/latency_timer"
            f"; echo '{LATENCY_RULE}' | sudo tee /etc/udev/rules.d/99-usb-latency.rules",
        )


def modem_manager(root: Path) -> Iterator[Diagnosis]:
    """Whether a program runs that speaks to every new serial port as to a modem."""
    for name in (root / "proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if name.read_text().strip() == "ModemManager":
                yield Diagnosis(
                    "warning",
                    "ModemManager",
                    "it runs, and sends to each serial port that is plugged in",
                    "sudo systemctl mask --now ModemManager",
                )
                return


def can_interfaces(root: Path) -> Iterator[Diagnosis]:
    """CAN interfaces that are down carry nothing."""
    found = sorted((root / "sys/class/net").glob("*/type"))
    names = [file.parent.name for file in found if _content(file) == CAN_INTERFACE]
    if not names:
        yield Diagnosis("note", "CAN", "no interface")
    for name in names:
        up = int(_content(root / "sys/class/net" / name / "flags") or "0", 0) & UP
        if up:
            yield Diagnosis("ok", f"CAN {name}", "up")
        else:
            mend = f"sudo ip link set {name} up type can bitrate 1000000  # as the motors have it"
            yield Diagnosis("warning", f"CAN {name}", "down", mend)


def input_devices(root: Path) -> Iterator[Diagnosis]:
    """Whether a gamepad can be read; keyboards stand there, too, and are no business of ours."""
    folder = root / "sys/class/input"
    pads = sorted({file.parent.name for file in folder.glob("js*/device/event*/uevent")})
    if not pads:
        yield Diagnosis("note", "gamepad", "none is plugged in")
    for pad in pads:
        yield _permission(f"gamepad {pad}", root / "dev/input" / pad)


def _permission(check: str, device: Path) -> Diagnosis:
    if os.access(device, os.R_OK | os.W_OK):
        return Diagnosis("ok", check, "can be opened")
    return Diagnosis(
        "problem",
        check,
        "this user may not open it",
        f"sudo usermod -aG {_group(device)} $USER  # then log in again",
    )


def _group(device: Path) -> str:
    try:
        return grp.getgrgid(device.stat().st_gid).gr_name
    except (KeyError, OSError):
        return "dialout"


def _content(file: Path) -> str:
    with suppress(OSError):
        return file.read_text().strip()
    return ""
