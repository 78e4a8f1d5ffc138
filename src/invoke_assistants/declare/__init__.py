"""What the app declares, and the payload that it becomes: pure, and needs no SDK.

May import: no other room.
"""
