"""The assistants that the app declares and the payloads that they become; pure, and needs no SDK.

May import: no other room.
"""
