"""Looking at a cluster before the first run: is everything there that a recipe needs?"""
