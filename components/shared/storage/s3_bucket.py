"""Calls to one bucket: repeated through outages, refusals explained."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from components.shared.errors import UserError
from components.shared.storage.s3_client import connection
from components.shared.storage.s3_errors import (
    explanation,
    is_failed_condition,
    is_missing,
    missing_bucket,
)
from components.shared.storage.uris import S3_SCHEME

T = TypeVar("T")


class ConditionFailed(Exception):  # noqa: N818 - reads as an event
    """The object is there, or is not the version that was meant."""


class Bucket:
    """Calls to one bucket. Operations are named for messages, as in ``reading``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._was_seen = False

    def uri(self, key: str) -> str:
        """The URI of a key."""
        return f"{S3_SCHEME}{self.name}/{key}"

    def call(self, operation: str, key: str, attempt: Callable[[Any], T]) -> T:
        """Make a call, as often as an outage needs; ``attempt`` is given boto3's client.

        Raises:
            FileNotFoundError: the object is not there.
            ConditionFailed: a condition of the call does not hold.
            UserError: the call was refused.
            StorageFailed: the server was out of order for too long.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        made = connection()
        uri = self.uri(key)
        try:
            return made.server.ride_out(operation, uri, lambda: attempt(made.client))
        except (BotoCoreError, ClientError) as error:
            if is_missing(error):
                raise FileNotFoundError(f"{uri}: there is no such object") from error
            if is_failed_condition(error):
                raise ConditionFailed(uri) from error
            raise UserError(explanation(error, operation, uri, self.name, made.who)) from error

    def head(self, operation: str, key: str) -> dict[str, Any]:
        """What is known of an object, with its checksum where the server keeps one.

        Raises:
            as :meth:`call`.
        """
        try:
            return self.call(
                operation,
                key,
                lambda client: client.head_object(
                    Bucket=self.name, Key=key, ChecksumMode="ENABLED"
                ),
            )
        except (FileNotFoundError, UserError):
            # Answers to HEAD have no body, and so do not say what is missing or refused.
            self.call(
                operation,
                key,
                lambda client: client.get_object(Bucket=self.name, Key=key, Range="bytes=0-0")[
                    "Body"
                ].close(),
            )
            raise

    def check_exists(self, key: str) -> None:
        """Before an object is written: some servers make a bucket of any name that an
        administrator mistypes.

        Raises:
            UserError: the bucket is not there.
        """
        if self._was_seen:
            return
        try:
            with suppress(UserError):  # no right to look: the call that follows will say more
                self.call("writing", key, lambda client: client.head_bucket(Bucket=self.name))
        except FileNotFoundError as error:
            who = connection().who
            raise UserError(missing_bucket(self.uri(key), self.name, who)) from error
        self._was_seen = True
