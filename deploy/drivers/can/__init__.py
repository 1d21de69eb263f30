"""CAN motors in MIT mode.

From the wire upwards: `bus` (frames, never blocking), `protocols` (what the bits of each make mean),
`mit` (the numbers that they share), `node` (one motor), `setup` (before anything moves), `driver`.
"""
