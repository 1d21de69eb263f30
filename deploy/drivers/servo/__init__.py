"""Smart servos on a serial bus: what Feetech's and Dynamixel's have in common.

From the wire upwards: `port` (bytes and time), `protocol` (frames, through the vendors' packet
handlers), `table` (registers), `bus` (reads and writes that can fail), `calibration` (counts and
radians), `driver`.
"""
