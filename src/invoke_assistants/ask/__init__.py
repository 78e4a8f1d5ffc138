"""One question to an instance, one answer: clients, the two APIs, tool calls, parsing.

May import: declare, store, config, sdk, emulator, platforms.
"""
