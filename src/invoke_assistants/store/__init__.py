"""The store of recorded ids: TinyDB over a storage of our own, the merge of two versions, and git.

May import: declare.
"""
