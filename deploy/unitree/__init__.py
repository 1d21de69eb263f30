"""The low level of Unitree robots, as it stands on the wire: messages, checksums, DDS."""
