"""An emulated Unitree robot: its messages (`codec`), firmware and services (`robot`), behind DDS."""
