"""Texts become token ids once, when a data set is resolved; all later steps read ids."""
