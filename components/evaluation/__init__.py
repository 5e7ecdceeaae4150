"""Measure every arm on the same test rows, and decide on promotion."""
