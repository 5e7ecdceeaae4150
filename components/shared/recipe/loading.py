"""Reading a recipe: YAML, overrides, and errors that say where and what to write instead."""

import difflib
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from components.shared.errors import UserError
from components.shared.recipe.base import Spec
from components.shared.recipe.document import Recipe
from components.shared.recipe.teacher import sections_with_paths
from components.shared.recipe.validation import with_suite

SpecT = TypeVar("SpecT", bound=Spec)


class _Loader(yaml.SafeLoader):
    """YAML as people write it: ``1e-4`` is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def load_recipe(
    path: Path,
    overrides: typing.Sequence[str] = (),
    *,
    absolute_paths: bool = False,
    storage: str = "",
) -> Recipe:
    """Read a recipe file, apply ``a.b=value`` overrides, and validate it.

    Args:
        path: the recipe.
        overrides: fields to set, in order.
        absolute_paths: make local paths absolute: those in the file are relative to its folder,
            those in overrides to the working directory. A pipeline for a cluster leaves them alone.
        storage: the recipe's ``storage`` where it has none.

    Raises:
        UserError: the file cannot be read, is not YAML, or does not describe a valid recipe.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"recipe {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"recipe {path}: not a text file (UTF-8)") from error
    document = _parse_yaml(text, f"recipe {path}")
    if not isinstance(document, dict):
        raise UserError(f"recipe {path}: should be a mapping with keys such as data and student")
    if isinstance(document.get("validation"), dict):
        document["validation"] = with_suite(document["validation"], path.parent)
    if absolute_paths:
        _make_absolute(document, path.parent)
    for override in overrides:
        _apply(document, override)
    if storage and document.get("storage") in (None, ""):
        document["storage"] = storage
    if absolute_paths:
        _make_absolute(document, Path.cwd())
    return _validate(Recipe, document, f"recipe {path}", strict=True)


def parse_section(model: type[SpecT], value: dict[str, Any], name: str) -> SpecT:
    """Validate a recipe section that arrives as a pipeline parameter.

    KFP carries the numbers inside a mapping as floats, so ``400.0`` is accepted for ``400``.

    Raises:
        UserError: naming the field as ``<name>.<path>``.
    """
    return _validate(model, value, "pipeline parameter", strict=False, prefix=name)


def _parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error


def _make_absolute(document: dict[str, Any], folder: Path) -> None:
    """Resolve paths against ``folder`` where they are relative: of storage, data, tokenizer,
    teachers, and models of a library."""
    data = document.get("data")
    taken = data.get("input") if isinstance(data, dict) else None
    tokenizer = taken.get("tokenizer") if isinstance(taken, dict) else None
    places = [(document, "storage"), (data, "uri"), (tokenizer, "uri")]
    places += [(part, "uri") for part in sections_with_paths(document.get("teacher"))]
    places += [(part, "folder") for part in _models(document) if isinstance(part, dict)]
    for section, key in places:
        uri = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict) and isinstance(uri, str) and uri and "://" not in uri:
            path = Path(uri).expanduser() if uri.startswith("~/") else Path(uri)
            section[key] = str((folder / path).resolve())


def _models(part: Any) -> Iterator[Any]:
    """All sections ``model``, at any depth; of the registry that is a name."""
    if isinstance(part, list):
        for one in part:
            yield from _models(one)
    if isinstance(part, dict):
        yield part.get("model")
        for one in part.values():
            yield from _models(one)


def _apply(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise UserError(f"--set {override}: should be FIELD=VALUE, for example --set seed=1")
    target: Any = document
    for depth, key in enumerate(keys[:-1], start=1):
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise UserError(f"--set {override}: {'.'.join(keys[:depth])} has no fields")
    target[keys[-1]] = _parse_yaml(text, f"--set {override}")


def _validate(
    model: type[SpecT], value: Any, where: str, *, strict: bool, prefix: str = ""
) -> SpecT:
    try:
        return model.model_validate(value, strict=strict)
    except ValidationError as error:
        lines = [_describe(model, dict(detail), prefix) for detail in error.errors()]
        listing = "\n".join(f"  {line}" for line in lines)
        raise UserError(f"{where} is not valid:\n{listing}") from error


def _describe(model: type[BaseModel], detail: dict[str, Any], prefix: str) -> str:
    """One line for one of pydantic's errors: path, what is wrong, nearest valid name."""
    candidates: list[type[BaseModel]] = [model]
    path = [prefix] if prefix else []
    in_mapping = False
    location = detail["loc"]
    for index, part in enumerate(location):
        fields = {name: info for c in candidates for name, info in c.model_fields.items()}
        last_unknown = index == len(location) - 1 and detail["type"] == "extra_forbidden"
        if part == "[key]":  # what comes before is the key of a mapping, and is wrong itself
            continue
        if in_mapping:
            path.append(str(part))
            in_mapping = False
        elif isinstance(part, int):
            path[-1] += f"[{part}]"
        elif len(candidates) > 1 and not last_unknown and _tagged(candidates, part):
            candidates = _tagged(candidates, part)
        elif part in fields and not last_unknown:
            path.append(part)
            in_mapping = _is_mapping(fields[part].annotation)
            candidates = _models_in(fields[part].annotation) or candidates
        elif last_unknown:
            path.append(part)
            near = difflib.get_close_matches(part, fields, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"it may be one of {', '.join(fields)}"
            return f"{'.'.join(path)}: unknown field; {hint}"
        else:
            candidates = _tagged(candidates, part) or candidates
    message = detail["msg"].removeprefix("Value error, ").replace(" after validation", "")
    message = message[0].lower() + message[1:]
    if detail["type"] == "missing":
        message = "is required"
    elif detail["type"].startswith("union_tag"):
        tag = detail["ctx"]["discriminator"].strip("'")
        path.append(tag)
        allowed = sorted(
            str(value)
            for c in candidates
            if tag in c.model_fields
            for value in typing.get_args(c.model_fields[tag].annotation)
        )
        given = detail["ctx"].get("tag")
        choice = ", ".join(allowed)
        message = f"should be one of {choice}, not {given!r}" if given else f"is required: {choice}"
    elif not isinstance(detail["input"], dict | list) and detail["type"] != "value_error":
        message += f", not {detail['input']!r}"
    return f"{'.'.join(path)}: {message}" if path else message


def _tagged(models: list[type[BaseModel]], tag: object) -> list[type[BaseModel]]:
    """Those that a tag, which is no field, tells from the others of a union."""
    return [
        model
        for model in models
        if any(tag in typing.get_args(info.annotation) for info in model.model_fields.values())
    ]


def _is_mapping(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation mentions, unions and lists included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
