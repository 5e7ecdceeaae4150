"""Run the teacher once, and keep what it says."""
