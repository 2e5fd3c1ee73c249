"""The one place where all meet: settings become adapters, adapters become the engine's ports.

One module a purpose, so that a command loads only what it needs.
"""
