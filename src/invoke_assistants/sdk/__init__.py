"""The openai SDK and its transport: HTTP clients, time limits, streamed completions, errors for people.

May import: config.
"""
