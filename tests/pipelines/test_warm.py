"""A step in a warm interpreter gives what it gives in a cold one, through KFP's local runner."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl, local
from kfp.components import load_component_from_text

from pipelines.warm import warm_interpreters

PLAIN, TORCH, OTHER = "python-plain", "python-torch", "python-other"


@dsl.component(base_image=PLAIN, install_kfp_package=False)
def count(words: str, listing: dsl.Output[dsl.Dataset]) -> int:
    import os
    from pathlib import Path

    if not words:
        raise ValueError("no words")
    Path(listing.path).write_text("\n".join(words.split()))
    print(f"python3 step {os.getpid()} below {os.getppid()}")
    return len(words.split())


@dsl.component(base_image=PLAIN, install_kfp_package=False)
def longest(listing: dsl.Input[dsl.Dataset], number: int) -> str:
    from pathlib import Path

    words = Path(listing.path).read_text().split()
    assert len(words) == number
    return max(words, key=len)


@dsl.component(base_image=OTHER, install_kfp_package=False)
def shout(word: str) -> str:
    return word.upper()


@dsl.component(base_image=PLAIN, install_kfp_package=False)
def total(numbers: list) -> int:
    return int(sum(numbers))


@dsl.pipeline(name="words")
def words_pipeline(words: str = "a word or two") -> str:
    counted = count(words=words)
    found = longest(listing=counted.outputs["listing"], number=counted.outputs["Output"])
    return shout(word=found.output).output


@dsl.pipeline(name="parallel")
def parallel_pipeline() -> int:
    with dsl.ParallelFor(["a", "b c", "d e f"]) as words:
        counted = count(words=words)
    return total(numbers=dsl.Collected(counted.outputs["Output"])).output


def compiled(pipeline: Any, folder: Path) -> str:
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    return path.read_text()


def run(text: str, folder: Path, **arguments: Any) -> Any:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "outputs"))
    return load_component_from_text(text)(**arguments)


@pytest.fixture(scope="module")
def interpreters() -> Iterator[None]:
    with warm_interpreters({TORCH: ["numpy", "torch"], PLAIN: ["json"]}):
        yield


@pytest.fixture
def program(tmp_path: Path, interpreters: None) -> Any:
    """Runs the text of a program as ``python -m program``, cold or warm, and gives how it ended."""

    def run_program(text: str, *arguments: str, warm: bool, **options: Any) -> Any:
        (tmp_path / "program.py").write_text(textwrap.dedent(text))
        return subprocess.run(
            ["/bin/sh", "-ec", command(*arguments, warm=warm)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )

    return run_program


def command(*arguments: str, warm: bool, name: int = 0) -> str:
    client = f'-I -S "$KUBEDISTILL_WARM/client.py" "$KUBEDISTILL_WARM/{name}"' if warm else ""
    return f"{sys.executable} {client} -m program {shlex.join(arguments)}"


def test_a_pipeline_gives_the_same_outputs_and_uses_the_interpreter(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = compiled(words_pipeline, tmp_path)
    cold = run(text, tmp_path, words="the longest of them")
    capfd.readouterr()
    with warm_interpreters({PLAIN: []}) as warm:
        assert run(warm.rewrite(text), tmp_path, words="the longest of them").output == cold.output
        (step,) = [line for line in capfd.readouterr().out.splitlines() if "python3 step" in line]
        server = Path(f"/proc/{step.split()[-1]}/cmdline").read_text()
    assert cold.output == "LONGEST"
    assert "server.py" in server


def test_steps_run_at_the_same_time(tmp_path: Path) -> None:
    text = compiled(parallel_pipeline, tmp_path)
    with warm_interpreters({PLAIN: []}) as warm:
        assert run(warm.rewrite(text), tmp_path).output == 6


def test_a_failing_step_fails_the_pipeline_and_shows_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = compiled(words_pipeline, tmp_path)
    with (
        warm_interpreters({PLAIN: []}) as warm,
        pytest.raises(RuntimeError, match="count"),
    ):
        run(warm.rewrite(text), tmp_path, words="")
    assert "ValueError: no words" in capfd.readouterr().out


def test_rewriting_changes_only_commands_of_images_with_an_interpreter(tmp_path: Path) -> None:
    text = compiled(words_pipeline, tmp_path)
    before = yaml.safe_load(text)
    with warm_interpreters({PLAIN: [], TORCH: []}) as warm:
        after = yaml.safe_load(warm.rewrite(text))
    executors = after["deploymentSpec"]["executors"]
    changed = {
        name
        for name, executor in before["deploymentSpec"]["executors"].items()
        if executors[name] != executor
    }
    assert changed == {"exec-count", "exec-longest"}
    for name in changed:
        executors[name]["container"]["command"] = before["deploymentSpec"]["executors"][name][
            "container"
        ]["command"]
    assert after == before


def test_a_step_with_environment_variables_of_its_own_stays_cold(tmp_path: Path) -> None:
    @dsl.pipeline(name="environment")
    def pipeline() -> None:
        shout(word="a").set_env_variable("OMP_NUM_THREADS", "1")

    text = compiled(pipeline, tmp_path)
    with warm_interpreters({OTHER: []}) as warm:
        assert yaml.safe_load(warm.rewrite(text)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "print('fine')",
        "raise SystemExit",
        "raise SystemExit(3)",
        "raise SystemExit('with a message')",
        "import sys; sys.exit(-1)",
        "1 / 0",
        "raise KeyboardInterrupt",
        "import os; os._exit(7)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import atexit; atexit.register(print, 'at exit'); print('before', end=' ')",
        """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(0.1), print('after main'))).start()
        """,
        """
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        print(pool.submit(int, '4').result())
        """,
        """
        import multiprocessing
        if __name__ == '__main__':
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                print(pool.map(abs, [-1, 2]))
        """,
        "import sys; print('to stderr', file=sys.stderr); sys.stdout.write('to stdout')",
        "import missing_module",
    ],
)
def test_a_program_ends_as_in_a_cold_interpreter(program: Any, text: str) -> None:
    cold, warm = program(text, warm=False), program(text, warm=True)
    assert (warm.returncode, warm.stdout) == (cold.returncode, cold.stdout)
    if cold.returncode != 128 + signal.SIGKILL:  # there the shell writes a line
        assert warm.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


def test_a_program_sees_what_it_sees_in_a_cold_interpreter(program: Any, tmp_path: Path) -> None:
    text = """
        import json, os, signal, sys
        main = sys.modules["__main__"]
        print(json.dumps({
            "argv": sys.argv,
            "cwd": os.getcwd(),
            "environment": dict(os.environ),
            "path": sys.path,
            "main": [main.__name__, main.__file__, main.__spec__.name, main.__dict__ is globals()],
            "handlers": [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())],
            "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
            "open": sorted(set(os.listdir("/proc/self/fd"))),
            "encoding": [sys.stdout.encoding, sys.stdout.line_buffering, sys.flags.isolated],
            "stdin": sys.stdin.read(),
        }))
    """
    environment = {**os.environ, "MINE": "grüß=dich\nzweite Zeile", "EMPTY": ""}
    arguments = ["--word", "", "two words", "ü"]
    cold, warm = (
        json.loads(program(text, *arguments, warm=warm, env=environment, input="in").stdout)
        for warm in (False, True)
    )
    # One more descriptor is open in the warm one: the connection that takes the exit status.
    assert len(warm.pop("open")) <= len(cold.pop("open")) + 1
    assert warm == cold
    assert warm["argv"][1:] == arguments


def test_each_step_draws_its_own_unseeded_random_numbers(program: Any) -> None:
    text = """
        import random, numpy, torch
        print(random.random(), numpy.random.random(), torch.rand(1).item())
    """
    first, second = (program(text, warm=True).stdout.split() for _ in range(2))
    assert len(first) == 3
    assert not set(first) & set(second)


def test_training_gives_the_same_weights_bit_for_bit(program: Any) -> None:
    text = """
        import hashlib, torch
        from torch import nn
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(1)
            x, y = torch.randn(64, 1, 8, 8), torch.randint(0, 10, (64,))
            model = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 10),
            )
            for _ in range(10):
                gradients = torch.autograd.grad(
                    nn.functional.cross_entropy(model(x), y), list(model.parameters())
                )
                with torch.no_grad():
                    for value, gradient in zip(model.parameters(), gradients):
                        value -= 0.1 * gradient
            state = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
            print(torch.get_num_threads(), hashlib.sha256(state).hexdigest())
    """
    cold, warm = program(text, warm=False), program(text, warm=True)
    assert cold.returncode == 0, cold.stderr
    assert warm.stdout == cold.stdout


def test_output_and_input_flow_while_the_step_runs(program: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('ready', flush=True); print(input()[::-1])")
    with subprocess.Popen(
        ["/bin/sh", "-ec", command(warm=True)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None
        print("abc", file=process.stdin, flush=True)
        assert process.stdout.read() == "cba\n"
    assert process.returncode == 0


def test_a_module_that_cannot_be_imported_is_left_to_the_step(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import json; print('fine')")
    with warm_interpreters({PLAIN: ["no_such_module", "json"]}):
        output = subprocess.check_output(["/bin/sh", "-ec", command(warm=True)], cwd=tmp_path)
    assert output == b"fine\n"


def test_import_seconds_are_known_by_image_and_stay_known() -> None:
    with warm_interpreters({PLAIN: ["json"], TORCH: ["pydoc"]}) as warm:
        deadline = time.monotonic() + 300
        while len(warm.import_seconds()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    seconds = warm.import_seconds()
    assert set(seconds) == {PLAIN, TORCH}
    assert all(0 < value < 300 for value in seconds.values())


def test_a_step_that_waits_starts_its_interpreter_out_of_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")
    (tmp_path / "program.py").write_text("print('fine')")
    monkeypatch.chdir(tmp_path)
    with warm_interpreters({PLAIN: ["slow"], OTHER: ["json"]}):
        step = ["/bin/sh", "-ec", command(warm=True, name=1)]
        assert subprocess.check_output(step, timeout=300) == b"fine\n"


def test_the_environment_of_the_run_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDISTILL_WARM", "outer")
    with warm_interpreters({PLAIN: []}):
        folder = Path(os.environ["KUBEDISTILL_WARM"])
        assert folder.is_dir()
    assert os.environ["KUBEDISTILL_WARM"] == "outer"
    assert not folder.exists()


def test_without_room_for_a_socket_the_pipeline_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    text = compiled(words_pipeline, tmp_path)
    with warm_interpreters({PLAIN: []}) as warm:
        assert warm.rewrite(text) == text
