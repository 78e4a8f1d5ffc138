"""The recorded ids: TinyDB over a storage for each kind of place, the merge of two stores, and git.

May import: declare.
"""
