"""Challenger and champion on fresh rows: measured, judged, and shown."""
