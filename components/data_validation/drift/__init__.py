"""How far the training rows are from those of the present champion."""
