"""The components ``check_recipe``, ``resolve_dataset`` and ``validate_data``."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.DATA_VALIDATION, install_kfp_package=False)
def check_recipe(
    name: str,
    data_uri: str,
    seed: int,
    storage: str,
    data: dict,
    validation: dict,
    teacher: dict,
    labelling: dict,
    student: dict,
    distillation: dict,
    compression: dict,
    evaluation: dict,
    gates: dict,
    registry: dict,
    compiled: dict,
    recipe: dsl.Output[dsl.Artifact],
):
    """Check the recipe as it is run, with what was changed at its start, before anything is read.

    Args:
        name: name of the recipe.
        data_uri: where the data are.
        seed: seed of the run.
        storage: where soft labels and checkpoints are kept.
        data: the recipe's section `data`, without the URI.
        validation: the recipe's section `validation`.
        teacher: the recipe's section `teacher`.
        labelling: the recipe's section `labelling`.
        student: the recipe's section `student`.
        distillation: the recipe's section `distillation`.
        compression: the recipe's section `compression`.
        evaluation: the recipe's section `evaluation`.
        gates: the recipe's section `gates`.
        registry: the recipe's section `registry`.
        compiled: what of the recipe that the pipeline was compiled from decided which steps it has.
        recipe: JSON of the whole recipe.
    """
    from pathlib import Path

    from components.data_validation.steps import check_recipe

    sections = {
        "name": name,
        "seed": seed,
        "storage": storage,
        "data": {**data, "uri": data_uri},
        "validation": validation,
        "teacher": teacher,
        "labelling": labelling,
        "student": student,
        "distillation": distillation,
        "compression": compression,
        "evaluation": evaluation,
        "gates": gates,
        "registry": registry,
    }
    check_recipe(sections, compiled, Path(recipe.path))


@dsl.component(base_image=images.DATA_VALIDATION, install_kfp_package=False)
def resolve_dataset(
    uri: str,
    data: dict,
    dataset: dsl.Output[dsl.Dataset],
    digest: dsl.OutputPath(str),
):
    """Pin a data set down: files with their hashes, columns, classes and splits.

    Args:
        uri: a Parquet file or folder, a folder of images in class folders, or builtin://NAME.
        data: the recipe's data section without uri.
        dataset: folder with manifest.json, and the Parquet files that had to be written.
        digest: hash of the content, by which caches tell data sets apart. Never cache this step.
    """
    from pathlib import Path

    from components.data_validation.steps import resolve

    dataset.metadata.update(resolve(uri, data, Path(dataset.path), Path(digest)))


@dsl.component(base_image=images.DATA_VALIDATION, install_kfp_package=False)
def validate_data(
    dataset: dsl.Input[dsl.Dataset],
    digest: str,
    validation: dict,
    result: dsl.Output[dsl.Artifact],
    data_docs: dsl.Output[dsl.Artifact],
    checked: dsl.Output[dsl.Dataset],
    checked_digest: dsl.OutputPath(str),
    champion: dsl.Input[dsl.Model] = None,
):
    """Check a data set with Great Expectations; fail with the reasons if it breaks a limit.

    Args:
        dataset: what resolve_dataset made.
        digest: its digest.
        validation: the recipe's validation section.
        result: folder with `validation.json` (every check in plain words), `data_profile.json`
            (what the training rows look like) and `quarantine.parquet` (the rows that were taken
            out, if any).
        data_docs: folder with the Data Docs of Great Expectations.
        checked: the data set without the rows that were taken out; the steps that follow read it.
        checked_digest: its digest; that of the data set where no row was taken out.
        champion: the present champion as fetch_champion wrote it, where drift from its data is to
            be judged; then never cache this step.
    """
    from pathlib import Path

    from components.data_validation.steps import validate

    metadata = validate(
        Path(dataset.path),
        digest,
        validation,
        Path(result.path),
        Path(data_docs.path),
        Path(checked.path),
        Path(checked_digest),
        Path(champion.path) if champion else None,
    )
    result.metadata.update(metadata)
    checked.metadata["digest"] = metadata["checked_digest"]


@dsl.component(base_image=images.DATA_VALIDATION, install_kfp_package=False)
def collect_rows(
    uri: str,
    champion: dsl.Input[dsl.Model],
    challenger: dsl.Input[dsl.Model],
    id: str,
    label: str,
    time: str,
    since: str,
    leave_out_known: bool,
    rows: dsl.Output[dsl.Dataset],
):
    """Collect rows that arrived since a challenger was registered, to compare it on.

    Args:
        uri: a Parquet file or folder, with the columns that the models take.
        champion: the version that serving reads, as fetch_version wrote it.
        challenger: the version that waits for approval, as fetch_version wrote it.
        id: column with a unique id; empty for that of the challenger's recipe where the data have
            it, or else the position.
        label: column with the class, null where it is not known; empty for that of the challenger's
            recipe where the data have it, or else no labels.
        time: column with the time at which a row arrived; empty where there is none.
        since: earlier rows are left out; empty for when the challenger was registered.
        leave_out_known: leave out rows that a model was trained or tested on, by their ids.
        rows: the fresh rows, as a data set. Never cache this step.
    """
    from pathlib import Path

    from components.data_validation.steps import collect_rows

    sections = {
        "uri": uri,
        "id": id,
        "label": label,
        "time": time,
        "since": since,
        "leave_out_known": leave_out_known,
    }
    rows.metadata.update(
        collect_rows(sections, Path(champion.path), Path(challenger.path), Path(rows.path))
    )
