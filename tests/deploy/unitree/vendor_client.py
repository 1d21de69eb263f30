"""Run by the vendor's own Python SDK, in an environment of its own: argument is the DDS domain.

Prints one JSON line with what its subscriber, publisher and motion switcher client made of our emulator.
"""

import json
import sys
import time

from unitree_sdk2py.comm.motion_switcher.motion_switcher_client import MotionSwitcherClient
from unitree_sdk2py.core.channel import ChannelFactoryInitialize, ChannelPublisher, ChannelSubscriber
from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.utils.crc import CRC

ChannelFactoryInitialize(int(sys.argv[1]), "lo")
switcher = MotionSwitcherClient()
switcher.SetTimeout(5.0)
switcher.Init()
before = switcher.CheckMode()
released = switcher.ReleaseMode()
after = switcher.CheckMode()
states = []
subscriber = ChannelSubscriber("rt/lowstate", LowState_)
subscriber.Init(states.append, 10)
publisher = ChannelPublisher("rt/lowcmd", LowCmd_)
publisher.Init()
crc = CRC()
command = unitree_go_msg_dds__LowCmd_()
command.head[0], command.head[1], command.level_flag = 0xFE, 0xEF, 0xFF
for place in range(20):
    motor = command.motor_cmd[place]
    motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd = 1, 2.146e9, 16000.0, 0.0, 0.0, 0.0
for place, target in enumerate((0.0, 0.9, -1.8) * 4):
    motor = command.motor_cmd[place]
    motor.q, motor.dq, motor.kp, motor.kd = target, 0.0, 60.0, 5.0
end = time.monotonic() + 3.0
while time.monotonic() < end:
    command.crc = crc.Crc(command)
    publisher.Write(command)
    time.sleep(0.005)
state = states[-1]
print(
    json.dumps(
        {
            "before": before,
            "released": released,
            "after": after,
            "states": len(states),
            "q": [motor.q for motor in state.motor_state[:12]],
            "head": list(state.head),
            "voltage": state.power_v,
            "soc": state.bms_state.soc,
            "crc": state.crc,
            "own_crc": crc.Crc(state),
        }
    ),
    flush=True,
)
sys.stdout.flush()
import os  # noqa: E402

os._exit(0)  # its threads would go on
