"""How the program ends: what is said of a failure, and the exit status of each ending."""

import sys

import typer
from rich.markup import escape

from components.shared.errors import StepFailed, StorageFailed, UserError
from pipelines.cli.cluster_commands import app
from pipelines.cli.console import console, print_json
from pipelines.cli.exit_status import ExitStatus


def main() -> None:
    """Run the command line, and leave with the status that the design gives each ending."""
    as_json = "--json" in sys.argv
    try:
        status = app(standalone_mode=False) or 0
        if status != ExitStatus.INTERRUPTED:  # which is all that Typer makes of Ctrl-C
            sys.exit(status)
        message = "interrupted"
    except UserError as error:
        status, message = ExitStatus.USER_ERROR, str(error)
    except (StepFailed, StorageFailed) as error:
        status, message = ExitStatus.BROKEN, str(error)
    except (typer.Abort, KeyboardInterrupt):
        status, message = ExitStatus.INTERRUPTED, "interrupted"
    except Exception as error:
        status, message = _usage_status(error)
    if as_json:
        print_json({"error": message, "exit_status": status})
    console.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(status)


def _usage_status(error: Exception) -> tuple[int, str]:
    """Typer's usage errors are the user's; anything else is a bug, and keeps its traceback."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        raise error
    # Without any argument the help has been printed already, and there is no message.
    message = format_message()
    return ExitStatus.USER_ERROR, f"{message} (see --help)" if message else "a command is missing"
