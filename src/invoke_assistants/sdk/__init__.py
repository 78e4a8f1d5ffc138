"""The openai SDK and its transport: connections, time limits, streams, and errors in our words.

May import: config.
"""
