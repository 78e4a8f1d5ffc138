"""The embedded Agents API, in process and over HTTP: its agents, its sessions, and the responders that answer in them.

May import: declare, store, sdk.
"""
