"""Rows that arrived since a model was registered, made into a data set to compare models on."""
