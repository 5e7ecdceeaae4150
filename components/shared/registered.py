"""A registered version with its files, in a folder as the registration steps leave it."""

from dataclasses import dataclass
from pathlib import Path

from components.shared.deployable import Deployable, read_deployable
from components.shared.errors import UserError
from components.shared.records import read_record
from components.shared.results import CHAMPION_RECORD, ChampionRecord
from components.shared.results.comparison import Role


@dataclass(frozen=True)
class RegisteredModel:
    """The champion, or a challenger."""

    role: Role
    folder: Path
    """With ``model.onnx``, ``deployable.json`` and ``champion.json``."""
    version: str
    record: ChampionRecord
    deployable: Deployable

    @classmethod
    def read(cls, role: Role, folder: Path) -> "RegisteredModel":
        """Read what fetch_champion or fetch_version wrote.

        Raises:
            UserError: there is no such model, or its files are damaged.
        """
        record = read_record(folder / CHAMPION_RECORD, ChampionRecord, f"record of the {role}")
        if record.version is None:
            raise UserError(f"there is no {role}, so there is nothing to compare")
        return cls(role, folder, record.version, record, read_deployable(folder))
