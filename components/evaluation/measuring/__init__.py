"""Measuring models on the test rows: quality, latency, footprint."""
