"""Settings, ``.env`` files, credentials, importing the app, and the project that they make up.

May import: declare, store.
"""
