"""A data set as the steps after the checks read it, made again from its recipe."""

from pathlib import Path

from components.data_validation.quarantine.policies import policies_that_quarantine
from components.data_validation.resolve import resolve
from components.data_validation.validate import validate
from components.shared.recipe import DataSpec, ValidationSpec


def checked_data(data: DataSpec, validation: ValidationSpec, folder: Path) -> Path:
    """Resolve a data set, and check it where that may take rows out of it.

    Args:
        data: the recipe's ``data`` section.
        validation: the recipe's ``validation`` section; data are not compared with those of a
            champion, which takes no rows out.
        folder: an existing one, for all that is written.

    Returns:
        The dataset artifact, below ``folder``. Its digest is the one that models carry which
        learned from these data by this recipe.

    Raises:
        UserError: the data cannot be read, or fail their validation.
        StorageFailed: S3 is out of reach.
    """
    dataset, checked = folder / "dataset", folder / "checked"
    resolve(data, dataset)
    if not policies_that_quarantine(validation):
        return dataset
    validate(dataset, validation, folder / "result", folder / "docs", checked=checked)
    return checked
