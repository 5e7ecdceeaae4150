"""Expectations of the recipe: written by hand, or inferred from a reference data set."""
