"""The components ``check_recipe``, ``resolve_dataset`` and ``validate_data``."""

from kfp import dsl

from components.shared import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def check_recipe(
    name: str,
    data_uri: str,
    seed: int,
    data: dict,
    validation: dict,
    teacher: dict,
    student: dict,
    distillation: dict,
    compression: dict,
    evaluation: dict,
    gates: dict,
    registry: dict,
    compiled_teacher_source: str,
    recipe: dsl.Output[dsl.Artifact],
):
    """Check the recipe as it is run, with what was changed at its start, before anything is read.

    Args:
        name: name of the recipe.
        data_uri: where the data are.
        seed: seed of the run.
        data: the recipe's section `data`, without the URI.
        validation: the recipe's section `validation`.
        teacher: the recipe's section `teacher`.
        student: the recipe's section `student`.
        distillation: the recipe's section `distillation`.
        compression: the recipe's section `compression`.
        evaluation: the recipe's section `evaluation`.
        gates: the recipe's section `gates`.
        registry: the recipe's section `registry`.
        compiled_teacher_source: `teacher.source` of the recipe that the pipeline was compiled from;
            whether a teacher may come from the cache was decided by it.
        recipe: JSON of the whole recipe.
    """
    from pathlib import Path

    from components.data_validation.steps import check_recipe

    sections = {
        "name": name,
        "seed": seed,
        "data": {**data, "uri": data_uri},
        "validation": validation,
        "teacher": teacher,
        "student": student,
        "distillation": distillation,
        "compression": compression,
        "evaluation": evaluation,
        "gates": gates,
        "registry": registry,
    }
    check_recipe(sections, compiled_teacher_source, Path(recipe.path))


@dsl.component(base_image=images.DATA, install_kfp_package=False)
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


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def validate_data(
    dataset: dsl.Input[dsl.Dataset],
    digest: str,
    validation: dict,
    result: dsl.Output[dsl.Artifact],
    data_docs: dsl.Output[dsl.Artifact],
):
    """Check a data set with Great Expectations; fail with the reasons if it breaks a limit.

    Args:
        dataset: what resolve_dataset made.
        digest: its digest.
        validation: the recipe's validation section.
        result: JSON with every check in plain words.
        data_docs: folder with the Data Docs of Great Expectations.
    """
    from pathlib import Path

    from components.data_validation.steps import validate

    metadata = validate(
        Path(dataset.path), digest, validation, Path(result.path), Path(data_docs.path)
    )
    result.metadata.update(metadata)
