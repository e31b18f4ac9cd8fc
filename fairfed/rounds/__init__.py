"""Federated rounds, for every system alike: exchanges with clients, the loop, what a run keeps.

`exchange` asks clients and attributes what comes of it; `loop` runs the rounds of any `ArmServer`;
`checkpoint`, `round_log` and `run_directory` are what is on disk.
"""
