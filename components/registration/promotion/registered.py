"""A registered model that exists, as commands and reports see it."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from components.registration.client import clear_errors, connect
from components.registration.locking.choosing import choose_lock
from components.registration.locking.lock import Lock
from components.registration.promotion.evidence import registered_version
from components.registration.promotion.ledger import Ledger
from components.registration.promotion.moves import Entry
from components.registration.promotion.session import Session, exclusive, settled_view
from components.registration.promotion.subject import ChampionMoved
from components.registration.store import Store, locate_existing
from components.shared.errors import UserError
from components.shared.recipe import RegistrySpec


class Registered:
    """A registered model that exists, as a person's commands see it."""

    def __init__(self, client: MlflowClient, store: Store, registry: RegistrySpec) -> None:
        self.client = client
        self.registry = registry
        self._store = store
        self.ledger = Ledger(client, registry.model, registry.alias)
        view = self.ledger.read()
        if view is None:
            raise _unknown(client, store, registry.model)
        self.view = view

    @property
    def public_uri(self) -> str:
        """Where it is registered, without credentials."""
        return self._store.public_uri

    @property
    def champion(self) -> str | None:
        """The version that the alias is on."""
        return self.view.aliases.get(self.registry.alias)

    def settle(self) -> Entry | None:
        """Complete what is half-done, and look again.

        Returns:
            The move that was completed, if there was one.
        """
        before = self.view
        self.view = settled_view(self.ledger, self._lock) or before
        pending = before.entries[-1] if before.entries and before.last > before.settled else None
        return pending if pending and pending == self.view.entries[-1] else None

    @property
    def _lock(self) -> Lock:
        """Chosen only where it is needed: to look takes no lock."""
        return choose_lock(self._store, self.registry.model, self.registry.alias)

    @contextmanager
    def moving(self) -> Iterator[Session]:
        """Hold the lock, with nothing moved since it was looked at.

        Raises:
            ChampionMoved: something was.
        """
        with exclusive(self.ledger, self._lock) as session:
            if session.view.last != self.view.last:
                raise ChampionMoved(
                    f"another move of {self.registry.model!r} was made at the same time; look at "
                    "its status, and say again what is to be done"
                )
            yield session

    def accept_history(self, reason: str) -> Entry:
        """Let a history that was tampered with go on."""
        with exclusive(self.ledger, self._lock, damaged=True) as session:
            session.accept(reason)
            return session.view.entries[-1]

    def version(self, number: str) -> ModelVersion:
        """One of its versions.

        Raises:
            UserError: there is none of that number.
        """
        return registered_version(self.client, self.registry.model, number)


@contextmanager
def registered(registry: RegistrySpec, tracking_uri: str = "") -> Iterator[Registered]:
    """A registered model; failures of MLflow in the block become short.

    Args:
        registry: names model and alias.
        tracking_uri: MLflow tracking URI; empty for the environment's.

    Raises:
        UserError: there is none of that name.
        TrackingError: MLflow cannot be reached.
    """
    store = locate_existing(tracking_uri)
    with clear_errors(store):
        yield Registered(connect(store), store, registry)


def _unknown(client: MlflowClient, store: Store, model: str) -> UserError:
    known = sorted(found.name for found in client.search_registered_models())
    hint = f"it has {', '.join(known)}" if known else "it has none yet"
    return UserError(
        f"no registered model {model!r} at {store.public_uri} ({hint}); "
        "a run registers it when its student passes the gates"
    )
