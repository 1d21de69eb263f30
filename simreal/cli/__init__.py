"""The command line: a file for each command, `bench` for the figures, `main` for the short ones.

`entry` is where it starts. Beside the commands stands what they print, ask and read: `contract_tables`,
`coverage`, `inventory`, `joint_directions`, `progress`, `recordings`, `trained_ranges`.
"""
