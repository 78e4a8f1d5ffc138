"""The embedded Agents API: in process, over HTTP, its sessions and who answers in them.

May import: declare, store, sdk.
"""
