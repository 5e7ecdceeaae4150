"""Running a comparison on this machine: every method on every seed, what is done not again."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from components.shared import images
from components.shared.bundle import read_bundle
from components.shared.errors import StepFailed, UserError
from components.shared.files import digest_of, write_atomically
from components.shared.recipe import Recipe
from components.shared.records import read_record
from components.shared.results import CHAMPION_RECORD, ChampionRecord, Evaluation
from pipelines.comparing.methods import recipe_of_seed, sections_of
from pipelines.comparing.records import LESSON, TRIAL, LeftOut, Lesson, Trial
from pipelines.executing import Execution, execute
from pipelines.following import Listener
from pipelines.local import PRELOAD
from pipelines.step_runners import StepRunner, Subprocesses

_PRELOAD = {image: modules for image, modules in PRELOAD.items() if image != images.REGISTRATION}
DoneT = TypeVar("DoneT", Lesson, Trial)
_FOLDERS = (
    "dataset",
    "soft_labels",
    "student_labels",
    "student_teacher",
    "teacher",
    "hard_label",
    "pseudo_label",
)


@dataclass(frozen=True)
class Task:
    """A seed's lesson, or one method on a seed."""

    seed: int
    method: str | None
    """Null for the lesson."""


class Watcher(Protocol):
    """Is told how a comparison goes."""

    def begins(self, task: Task) -> Listener:
        """A task starts; what the listener is told are its steps' events."""

    def ends(self, task: Task, record: Lesson | Trial, found: bool) -> None:
        """A task is done; ``found`` where an earlier comparison had done it."""

    def refuses(self, refused: LeftOut) -> None:
        """A method is left out, on this seed and on later ones."""


@dataclass(frozen=True)
class Ran:
    """What came of a comparison."""

    methods: list[str]
    """Those that ran on every seed."""
    trials: list[Trial]
    """Of these, seed by seed."""
    left_out: list[LeftOut]


def tasks_of(seeds: Sequence[int], methods: Sequence[str]) -> list[Task]:
    """Everything that there is to do, in its order: seed by seed, so that what is there when it is
    interrupted compares all methods."""
    return [Task(seed, method) for seed in seeds for method in (None, *methods)]


def run_comparison(
    recipe: Recipe, methods: Sequence[str], seeds: Sequence[int], output: Path, watcher: Watcher
) -> Ran:
    """Train and measure every method on every seed.

    The teacher is trained, and labels, once for each seed; so do the baselines. What an earlier
    comparison in the same folder has done is taken as it is, where all that it depends on is the
    same: data, recipe, method, seed. A method that a step refuses is left out, the others go on:
    means over other seeds than theirs would not compare.

    Args:
        recipe: data, teacher and student; paths in it are absolute.
        methods: names, as :func:`~pipelines.comparing.methods.parse_methods` gives them.
        seeds: the seeds.
        output: folder for everything.
        watcher: is told how it goes.

    Raises:
        UserError: data, teacher or baselines were refused, or every method was; the message names
            the methods.
        StepFailed: a step broke.
    """
    content = _digest_of_data(recipe)
    sections = sections_of(recipe, methods)
    champion = _no_champion(output)
    trials: list[Trial] = []
    left_out: dict[str, LeftOut] = {}
    with Subprocesses(_PRELOAD).kept_warm() as runner:
        for seed in seeds:
            at_seed = _AtSeed(recipe_of_seed(recipe, seed), content, output, runner, watcher)
            lesson = at_seed.lesson()
            for method in [one for one in sections if one not in left_out]:
                try:
                    trials.append(at_seed.trial(lesson, method, sections[method], champion))
                except UserError as error:
                    left_out[method] = LeftOut(method=method, seed=seed, reason=str(error))
                    watcher.refuses(left_out[method])
            if len(left_out) == len(sections):
                reasons = "; ".join(
                    f"method {one.method}: {one.reason}" for one in left_out.values()
                )
                raise UserError(f"no method could be compared: {reasons}")
    ran = [method for method in sections if method not in left_out]
    kept = [trial for trial in trials if trial.method in ran]
    return Ran(ran, kept, list(left_out.values()))


@dataclass(frozen=True)
class _AtSeed:
    """The tasks of one seed."""

    recipe: Recipe
    content: str
    """Digest of the data."""
    output: Path
    runner: StepRunner
    watcher: Watcher

    @property
    def _folder(self) -> Path:
        return self.output / "seeds" / str(self.recipe.seed)

    def lesson(self) -> Lesson:
        """Data, teacher, soft labels and baselines."""
        from pipelines.comparing.lessons import build_lesson

        task, folder = Task(self.recipe.seed, None), self._folder / "lesson"
        key = self._lesson_key()
        found = _found(folder / LESSON, Lesson, key)
        if found and all((self.output / getattr(found, name)).exists() for name in _FOLDERS):
            self.watcher.ends(task, found, found=True)
            return found

        def record(done: Execution, seconds: float) -> Lesson:
            folders = {name: self._relative(done.outputs[name]) for name in _FOLDERS}
            digests = {f"{name}_digest": done.outputs[f"{name}_digest"] for name in _FOLDERS}
            return Lesson(key=key, seed=self.recipe.seed, seconds=seconds, **folders, **digests)

        return self._run(task, folder / LESSON, lambda: build_lesson(self.recipe), {}, record)

    def trial(self, lesson: Lesson, method: str, section: dict[str, Any], champion: Path) -> Trial:
        """One method, trained and measured."""
        from pipelines.comparing.lessons import build_trial

        task, folder = Task(self.recipe.seed, method), self._folder / method
        taught = lesson.model_dump(exclude={"format_version", "key", "seed", "seconds"})
        digests = {name: value for name, value in taught.items() if name.endswith("_digest")}
        key = digest_of({"lesson": lesson.key, "digests": digests, "distillation": section})
        found = _found(folder / TRIAL, Trial, key)
        if found:
            self.watcher.ends(task, found, found=True)
            return found
        folders = {name: str(self.output / taught[name]) for name in _FOLDERS}
        arguments = {
            **digests,
            **folders,
            "champion": str(champion),
            "distillation": section,
            "seed": self.recipe.seed,
        }

        def record(done: Execution, seconds: float) -> Trial:
            measured = read_record(Path(done.outputs["evaluation"].path), Evaluation, "evaluation")
            selection = read_bundle(Path(done.outputs["student"].path)).selection
            if selection is None:
                raise StepFailed(f"the student of {method} does not say what it chose among")
            return Trial(
                key=key,
                method=method,
                seed=self.recipe.seed,
                rows=measured.rows,
                arms=_figures(measured),
                paired=measured.paired["hard_label"],
                gap_recovered=measured.gap_recovered,
                chosen=selection.choice,
                tried=len(selection.candidates),
                seconds=seconds,
            )

        with _naming(method):
            return self._run(
                task, folder / TRIAL, lambda: build_trial(self.recipe), arguments, record
            )

    def _run(
        self,
        task: Task,
        path: Path,
        build: Callable[[], Any],
        arguments: Mapping[str, Any],
        record: Callable[[Execution, float], DoneT],
    ) -> DoneT:
        """Run a pipeline, and write its record last: where that is, the rest is whole."""
        shutil.rmtree(path.parent, ignore_errors=True)
        listener = self.watcher.begins(task)
        started = time.monotonic()

        def compiled() -> str:
            from pipelines.compiling import as_yaml

            return as_yaml(build())

        done = execute(compiled, arguments, path.parent, listener, self.runner)
        made = record(done, round(time.monotonic() - started, 3))
        write_atomically(path, made.model_dump_json(indent=2))
        self.watcher.ends(task, made, found=False)
        return made

    def _lesson_key(self) -> str:
        sections = self.recipe.model_dump(
            mode="json",
            include={
                "seed", "data", "validation", "teacher", "labelling", "student", "distillation"
            },
        )  # fmt: skip
        return digest_of({"content": self.content, **sections})

    def _relative(self, artifact: Any) -> str:
        return Path(artifact.path).resolve().relative_to(self.output).as_posix()


def _figures(evaluation: Evaluation) -> dict[Any, dict[Any, float]]:
    arms = {name: evaluation.arms[name] for name in ("student", "hard_label", "pseudo_label")}
    return {
        name: {metric: estimate.value for metric, estimate in quality.metrics.items()}
        for name, quality in {"teacher": evaluation.teacher, **arms}.items()
    }


def _found(path: Path, model: type[DoneT], key: str) -> DoneT | None:
    """The record of an earlier comparison, where it depends on the same."""
    try:
        record = read_record(path, model, "record")
    except UserError:  # there is none, or it is of another version: it is made anew
        return None
    return record if record.key == key else None


def _digest_of_data(recipe: Recipe) -> str:
    """Of the bytes as they are now, which no record of an earlier comparison tells."""
    from components.data_validation.resolve import resolve

    with tempfile.TemporaryDirectory(prefix="kubedistill-") as folder:
        return resolve(recipe.data, Path(folder) / "dataset").digest


def _no_champion(output: Path) -> Path:
    """A folder that says so, as fetch_champion would write it."""
    folder = output / "no-champion"
    folder.mkdir(exist_ok=True)
    record = ChampionRecord(state="first_model", version=None)
    write_atomically(folder / CHAMPION_RECORD, record.model_dump_json(indent=2))
    return folder


@contextmanager
def _naming(method: str) -> Iterator[None]:
    try:
        yield
    except StepFailed as error:
        raise StepFailed(f"method {method}: {error}") from error
