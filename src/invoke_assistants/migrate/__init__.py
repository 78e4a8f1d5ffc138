"""An export of the old Assistants API becomes declarations.

May import: declare.
"""
