"""The pipeline, its recipes, and the command line that compiles and runs it."""
