"""A teacher that is served: its rows go there in requests, and come back in their order."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import numpy as np

from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.manifest import DatasetManifest
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.teacher import EndpointTeacher
from components.shared.teacher import TEACHER, EndpointLimits, EndpointModel, TeacherRecord
from components.soft_labels.teachers.checking import (
    UnusableRowError,
    as_logits,
    column_order,
    first_row,
    known_classes,
)
from components.soft_labels.teachers.endpoint_client import EndpointClient
from components.soft_labels.teachers.inference_protocol import (
    choose_tensors,
    identity_of,
    infer_answer,
    infer_request,
    model_path,
    parse_metadata,
    request_layout,
)
from components.soft_labels.teachers.layout import Array, standardisation, standardised


class ServedTeacher:
    """Asks the server that the teacher's record names."""

    def __init__(self, record: TeacherRecord, model: EndpointModel, limits: EndpointLimits) -> None:
        """Find out whether the server still has the model.

        Args:
            record: what the artifact says of the teacher.
            model: the part of it about the served model.
            limits: of its use.

        Raises:
            UserError: it has not, or says other things of it than it did.
            EndpointFailed: it is out of reach.
        """
        self.digest = record.digest
        self.classes: list[str] = record.classes
        self.input: InputSpec = record.input
        self.preprocessing_digest = record.preprocessing_digest
        self._preprocessing, self._model = record.preprocessing, model
        self._rows_per_request, self._concurrency = limits.rows_per_request, limits.concurrency
        self._layout = request_layout(model.input, record.input.shape)
        self._order = column_order(model.order, record.classes, "the served model")
        self._path = model_path(model.model, model.version)
        self._client = EndpointClient(model.url, limits)
        self._client.wait_until_ready(self._path)
        if identity_of(self._client.get(self._path), model.version) != model.metadata_sha256:
            raise UserError(
                f"the endpoint {model.url} says other things of the model {model.model} than when "
                "this run began: it is another model now; run again"
            )

    def logits(self, inputs: Array) -> Array:
        """Logits of rows of raw features, shape (rows, classes).

        Raises:
            UnusableRowError: a row cannot be sent, or the server gives no probabilities, or no
                finite logits, for it.
            BudgetSpent: the budget does not last for all of them.
            UserError: the server refuses a request, or does not keep to the protocol.
            EndpointFailed: it is out of reach.
        """
        rows = self._layout.arrange(standardised(inputs, self._preprocessing))
        gap = first_row(~np.isfinite(rows.reshape(len(rows), -1).sum(axis=1)))
        if gap is not None:
            raise UnusableRowError(
                gap,
                "it has NaN or infinity, which cannot be sent to an endpoint; set "
                "data.input.missing to a policy that fills gaps before",
            )
        starts = range(0, len(rows), self._rows_per_request)
        with ThreadPoolExecutor(self._concurrency) as pool:
            asked = [pool.submit(copy_context().run, self._ask, rows, start) for start in starts]
            try:
                answers = [future.result() for future in asked]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return np.ascontiguousarray(np.concatenate(answers)[:, self._order])

    def _ask(self, rows: Array, start: int) -> Array:
        """One request, of the rows from ``start`` on."""
        part = rows[start : start + self._rows_per_request]
        model, ident = self._model, uuid.uuid4().hex
        body = infer_request(ident, model.input, model.output.name, part)
        answer = self._client.infer(self._path, body, len(part))
        values = infer_answer(answer, ident, model.output.name, len(part))
        try:
            return as_logits(values, model.gives, len(part), len(self.classes))
        except UnusableRowError as error:
            raise UnusableRowError(start + error.row, error.problem) from None


def import_endpoint(
    spec: EndpointTeacher, manifest: DatasetManifest, folder: Path, some: bool = False
) -> TeacherRecord:
    """Ask a server what its model takes and gives, and write ``teacher.json``.

    Args:
        spec: the recipe's section ``teacher``.
        manifest: of the data set.
        folder: an empty folder.
        some: whether it may know only some of the classes.

    Raises:
        UserError: there is no such model, or it does not fit the data set.
        EndpointFailed: the server is out of reach, or the model not ready in time.
    """
    limits = EndpointLimits(**{name: getattr(spec, name) for name in EndpointLimits.model_fields})
    client, path = EndpointClient(spec.url, limits), model_path(spec.model, spec.version)
    client.wait_until_ready(path)
    said = client.get(path)
    order = spec.classes or manifest.classes
    classes = known_classes(order, manifest.classes, some)
    column_order(order, classes, "the served model")
    taken, given = choose_tensors(
        parse_metadata(said), spec.input_name, spec.output_name, len(classes)
    )
    request_layout(taken, manifest.input.shape)
    record = TeacherRecord(
        source=f"{spec.url}/{path}",
        classes=classes,
        input=manifest.input,
        preprocessing=standardisation(spec.standardise, manifest.input),
        model=EndpointModel(
            url=spec.url,
            model=spec.model,
            version=spec.version,
            input=taken,
            output=given,
            metadata_sha256=identity_of(said, spec.version),
            gives=spec.output,
            order=order,
        ),
        limits=limits,
    )
    write_atomically(folder / TEACHER, record.model_dump_json(indent=2))
    return record
