"""Exit statuses and streams of the command line: people read stderr, scripts read stdout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe, recipe_schema
from pipelines.cli.app import app
from pipelines.cli.validating import validate_recipe
from tests.command_line import DIGITS, ROOT, Workspace
from tests.servers.processes import free_ports

HEAVY = (
    "boto3",
    "great_expectations",
    "kfp",
    "kubernetes",
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "sklearn",
    "torch",
)


def run_program(
    program: str, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code that ends in the command line's ``main``."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *expected: str) -> None:
    """Status 2, nothing for scripts, and one error for people."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    for text in expected:
        assert text in done.stderr


LIST_IMPORTS = f"""
import sys
sys.argv[0] = "kubedistill"
from pipelines.cli import main
try:
    main()
finally:
    sys.stderr.write("imported: " + " ".join(m for m in {HEAVY!r} if m in sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["schema"], 0),
        (["rum"], 2),
        (["run", "pipelines/recipes/digits.yaml", "--set", "sed=1"], 2),
    ],
    ids=["help", "help of run", "schema", "unknown command", "recipe that is not valid"],
)
def test_what_needs_no_heavy_library_imports_none(arguments: list[str], status: int) -> None:
    done = run_program(LIST_IMPORTS, *arguments)
    assert done.returncode == status, done.stderr
    assert done.stderr.rsplit("imported:", 1)[1].strip() == ""


def test_help_names_every_command_and_exit_status(workspace: Workspace) -> None:
    done = workspace.run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    names = get_command(app).commands  # type: ignore[attr-defined]
    assert {"run", "compile", "init", "status", "shadow", "promote", "rollback"} <= set(names)
    shown = [done.stdout.index(f"│ {name} ") for name in names]
    assert shown == sorted(shown)
    assert "Exit status: 0 done" in done.stdout


def test_no_command_shows_the_help(workspace: Workspace) -> None:
    done = workspace.run()
    assert done.returncode == 2
    assert "Usage: kubedistill" in done.stdout
    assert done.stderr == "error: a command is missing\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rum"], "No such command 'rum'."),
        (["run"], "Missing argument 'RECIPE'."),
        (["status"], "Missing argument 'MODEL|RECIPE'."),
        (["validate", DIGITS, "--outptu", "x"], "No such option: --outptu"),
        (["run", DIGITS, "--set"], "Option '--set' requires an argument."),
        (["run", DIGITS, "--output", "a-file"], "'a-file' is a file"),
        (["validate", DIGITS, "--docs", "a-file"], "'a-file' is a file"),
        (["compile", DIGITS, "--output", "a-folder"], "'a-folder' is a directory"),
    ],
)
def test_wrong_usage_is_one_line_that_points_to_the_help(
    workspace: Workspace, arguments: list[str | Path], expected: str
) -> None:
    (workspace.folder / "a-file").touch()
    (workspace.folder / "a-folder").mkdir()
    done = workspace.run(*arguments)
    assert_refused(done, expected)
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("(see --help)\n")


@pytest.mark.parametrize("command", ["run", "validate", "compile"])
def test_unknown_key_of_a_recipe_gets_a_suggestion(workspace: Workspace, command: str) -> None:
    done = workspace.run(command, DIGITS, "--set", "gates.acuracy.min=1")
    assert_refused(done, f"error: recipe {DIGITS} is not valid:")
    assert done.stderr.splitlines()[1:] == [
        "  gates.acuracy: unknown field; did you mean accuracy?"
    ]
    assert list(workspace.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=one", "seed: input should be a valid integer, not 'one'"),
        ("seed", "--set seed: should be FIELD=VALUE, for example --set seed=1"),
        ("teacher.source=tensorflow", "teacher.source: should be one of"),
        ("student.training.steps=[0]", "student.training.steps[0]: input should be greater than 0"),
        ("seed=[red]x[/]", "--set seed=[red]x[/]"),
    ],
)
def test_wrong_value_names_the_field(workspace: Workspace, override: str, expected: str) -> None:
    assert_refused(workspace.run("validate", DIGITS, "--set", override), expected)


@pytest.mark.parametrize("command", ["run", "validate", "status"])
def test_with_json_an_error_is_json_too(workspace: Workspace, command: str) -> None:
    done = workspace.run(command, "nowhere.yaml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "error": "recipe nowhere.yaml: No such file or directory",
        "exit_status": 2,
    }
    assert done.stderr == "error: recipe nowhere.yaml: No such file or directory\n"


def test_with_json_wrong_usage_is_json_too(workspace: Workspace) -> None:
    done = workspace.run("run", DIGITS, "--json", "--sed", "1")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_status"] == 2
    assert "--sed" in json.loads(done.stdout)["error"]


def test_recipe_that_is_no_recipe(workspace: Workspace) -> None:
    path = workspace.folder / "r.yaml"
    for content, expected in (
        (b"a: [", "not valid YAML"),
        (b"- 1", "should be a mapping"),
        (b"\xff\xfe\x00", "not a text file (UTF-8)"),
        (b"", "should be a mapping"),
        (b"seed: 1\nseed: 2", "the key 'seed' is given twice"),
    ):
        path.write_bytes(content)
        assert_refused(workspace.run("validate", path), f"error: recipe {path}: ", expected)


def test_schema_is_printed(workspace: Workspace) -> None:
    done = workspace.run("schema")
    assert (done.returncode, done.stdout, done.stderr) == (0, recipe_schema(), "")
    assert json.loads(done.stdout)["properties"]["gates"]


def test_compiling_to_stdout_and_to_a_file_gives_the_kept_pipeline(workspace: Workspace) -> None:
    kept = (ROOT / "pipelines" / "compiled" / "digits.yaml").read_text()
    printed = workspace.run("compile", DIGITS)
    assert (printed.returncode, printed.stdout) == (0, kept)
    written = workspace.run("compile", DIGITS, "-o", "new/[0].yaml")
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr == "wrote new/[0].yaml\n"
    assert (workspace.folder / "new" / "[0].yaml").read_text() == kept


def test_validate_says_what_was_found(workspace: Workspace) -> None:
    done = workspace.run("validate", DIGITS, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["recipe"], found["success"]) == ("digits", True)
    assert found["rows"] == {"labelled": 100, "unlabelled": 900, "test": 797}
    assert all(check["status"] == "passed" for check in found["checks"])
    assert len(found["dataset_digest"]) == 64
    assert "valid: 100 labelled, 900 unlabelled, 797 test rows; classes 0, 1, 2" in done.stderr
    assert list(workspace.folder.iterdir()) == [], "nothing is left behind"


@pytest.fixture
def wine(tmp_path: Path) -> Recipe:
    path = tmp_path / "wine.yaml"
    path.write_text(
        DIGITS.read_text()
        .replace("builtin://digits", "builtin://wine")
        .replace("{kind: image, column: image, size: [1, 8, 8]}", "{columns: [alcohol, ash]}")
        .replace("labelled: 100, unlabelled: 900, test: 797", "test: 0.2")
    )
    overrides = [
        "validation={max_test_overlap: 1}",
        "teacher.model={family: mlp}",
        "teacher.training.shift=0",
    ]
    return load_recipe(path, [*overrides, "data.input.kind=tabular"])


def test_data_docs_go_to_a_new_folder_or_replace_earlier_ones(wine: Recipe, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for _ in range(2):
        assert validate_recipe(wine, docs, as_json=False) == 0
        assert "<html" in (docs / "index.html").read_text()


def test_data_docs_do_not_replace_a_folder_with_other_files(wine: Recipe, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "manual.md").write_text("mine")
    with pytest.raises(UserError, match=r"--docs .*docs: holds other files; name a folder that is"):
        validate_recipe(wine, docs, as_json=False)
    assert (docs / "manual.md").read_text() == "mine"
    assert [path.name for path in docs.iterdir()] == ["manual.md"]


def test_status_where_nothing_was_registered(workspace: Workspace) -> None:
    done = workspace.run("status", "digits-student")
    assert_refused(done, f"{workspace.folder}/.kubedistill/mlflow.db: no such database")
    assert list(workspace.folder.iterdir()) == [], "looking makes no database, nor its folder"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a/b"], "error: MODEL 'a/b': String should match pattern"),
        (["[x]"], "error: MODEL '[x]': String should match pattern"),
        (["m", "--alias", "v1"], "error: --alias 'v1': 'latest' and 'v<number>' are reserved"),
    ],
)
def test_status_of_what_cannot_be(
    workspace: Workspace, arguments: list[str], expected: str
) -> None:
    assert_refused(workspace.run("status", *arguments), expected)


def test_status_claims_nothing_of_a_champion_that_another_tool_registered(
    workspace: Workspace,
) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{workspace.folder}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source=str(workspace.folder))
    client.set_registered_model_alias("theirs", "champion", "1")
    done = workspace.run("status", "theirs", "--tracking-uri", uri)
    assert done.returncode == 0, done.stderr
    assert "@champion is version 1\n" in done.stderr
    assert "first champion" not in done.stderr
    assert "by run" not in done.stderr


MAIN = "import sys; sys.argv[0] = 'kubedistill'; from pipelines.cli import main; main()"


def test_registry_out_of_reach_is_no_mistake_of_the_user() -> None:
    done = run_program(
        MAIN,
        "status",
        "digits-student",
        MLFLOW_TRACKING_URI="http://user:secret@127.0.0.1:9",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: MLflow at http://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


BREAKS = """
import sys
from pipelines.cli import app, main
def load_recipe(*arguments, **options):
    raise {error}
app.load_recipe = load_recipe
sys.argv[0] = "kubedistill"
main()
"""


def test_unexpected_exception_keeps_its_traceback() -> None:
    done = run_program(BREAKS.format(error="ZeroDivisionError('a bug')"), "validate", DIGITS)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "in load_recipe" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: a bug\n")


def test_interruption_is_one_line() -> None:
    done = run_program(BREAKS.format(error="KeyboardInterrupt"), "validate", DIGITS)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_init_through_the_command_line(workspace: Workspace) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"a": [1.5, 2.5] * 30, "k[ind": ["x", "[/y]"] * 30, "b": [1.0, 2.0] * 30})
    pq.write_table(table, workspace.folder / "rows.parquet")
    done = workspace.run("init", "rows.parquet", "--label", "k[ind", "--output", "[mine].yaml")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.splitlines() == [
        "tabular input 2, label column 'k[ind'",
        "wrote [mine].yaml",
        "next: kubedistill validate [mine].yaml",
        "      kubedistill run [mine].yaml",
    ]
    again = workspace.run("init", "rows.parquet", "--output", "[mine].yaml")
    assert_refused(again, "error: [mine].yaml exists already; choose another --output, or --force")
    assert_refused(workspace.run("init", "nowhere"), "error: nowhere: no such file or folder")
    assert_refused(
        workspace.run("init", "rows.parquet", "--label", "kind"),
        "error: --label kind: there is no such column; there are a, k[ind, b",
    )


def test_storage_out_of_reach_is_an_outage_and_no_traceback(tmp_path, command, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_ports(1)[0]}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "KUBEDISTILL_STORAGE_PATIENCE_S": "1",
    }.items():
        monkeypatch.setenv(name, value)
    done = command(tmp_path, "validate", DIGITS, "--set", "data.uri=s3://bucket/data")
    assert done.status == 1
    assert "check the endpoint (AWS_ENDPOINT_URL_S3)" in done.stderr
    assert "Traceback" not in done.stderr
