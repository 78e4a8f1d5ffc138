"""Desired, recorded and remote become a plan; the plan is applied, and its results are recorded.

May import: declare, store, config, sdk, emulator, platforms.
"""
