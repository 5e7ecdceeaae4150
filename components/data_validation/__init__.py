"""Pin a data set down, and check it before anything trains.

Great Expectations logs hundreds of lines while it is imported, so its level is set here, before any
module of this package imports it.
"""

import logging

logging.getLogger("great_expectations").setLevel(logging.ERROR)
