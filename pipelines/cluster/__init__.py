"""Compiling for a cluster: what the tasks of a pipeline are given beside what they compute."""
