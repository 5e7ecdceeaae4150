"""Judging measurements by the gates."""
