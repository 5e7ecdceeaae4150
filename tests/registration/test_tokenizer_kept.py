"""A text model's tokenizer goes where the model goes."""

import shutil

import pytest
from pipeline_run_files import REGISTRY

from components.registration import steps
from components.registration.card.purpose import how_to_use, rows_in_words
from components.registration.submission import read_submission
from components.shared.deployable import DEPLOYABLE, read_deployable
from components.shared.files import sha256_bytes, write_atomically
from components.shared.recipe.inputs import TextInput
from components.shared.recipe.tokenizers import FileTokenizer

TOKENIZER = b'{"version": "1.0"}'


@pytest.fixture
def run(tracking):
    """A run whose student's description says that it takes text."""
    run = tracking.write("run-1")
    sha256 = sha256_bytes(TOKENIZER)
    tokenizer = FileTokenizer(kind="file", uri="tokenizer.json", sha256=sha256, size=10)
    text = TextInput(kind="text", length=4, tokenizer=tokenizer)
    (run.inputs.dataset / "tokenizer.json").write_bytes(TOKENIZER)
    deployable = read_deployable(run.student).model_copy(update={"input": text})
    write_atomically(run.student / DEPLOYABLE, deployable.model_dump_json())
    return run


def test_tokenizer_is_registered_and_fetched_with_the_model(run, tracking, tmp_path, stdout_events):
    tracking.register(run)
    steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")
    assert (tmp_path / "champion" / "tokenizer.json").read_bytes() == TOKENIZER

    next((tmp_path / "artifacts").rglob("tokenizer.json")).unlink()
    shutil.rmtree(tmp_path / "champion")
    with pytest.raises(SystemExit):
        steps.fetch_champion(REGISTRY, tracking.uri, tmp_path / "champion")
    assert "version 1 of 'tiny-student': its tokenizer.json is gone" in str(stdout_events()[-1])


def test_card_tells_what_a_text_model_takes(run):
    submission = read_submission(run.inputs, run.run_id)
    assert rows_in_words(submission) == "texts, of which it sees the first 4 tokens,"
    told = how_to_use(submission).text
    assert "float32 of shape (rows, 4), the ids of tokens, with 0 for padding" in told
