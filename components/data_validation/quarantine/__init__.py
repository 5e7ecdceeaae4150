"""Rows that are taken out of a data set, each with the reason, and the data set without them."""
