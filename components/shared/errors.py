"""What a user did wrong, as opposed to what broke."""


class UserError(Exception):
    """The user's input is wrong: the message says what, where, and what to do.

    It is shown without a traceback, and the process that reports it exits with status 2.
    """


class StepFailed(Exception):  # noqa: N818 - reads as an event, like KFP's own states
    """A pipeline step ended with an error that is not the user's."""


class StorageFailed(Exception):  # noqa: N818 - reads as an event
    """Storage was out of reach for longer than retries last; the message has the last error."""
