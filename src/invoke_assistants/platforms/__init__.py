"""Instances on a remote service: list, retrieve, create, update, delete.

May import: declare, config, sdk, emulator.
"""
