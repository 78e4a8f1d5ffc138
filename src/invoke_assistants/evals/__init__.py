"""Datasets, running them against an instance, and the verdict.

May import: declare, store, config, ask.
"""
