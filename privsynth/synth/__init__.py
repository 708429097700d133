"""Generators: they work on codes, and know nothing of files, bins or dates."""
