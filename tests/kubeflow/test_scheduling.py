"""``kubedistill schedule``: one recurring run a recipe, replaced so that two never fire."""

import json
from datetime import UTC, datetime

import pytest

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import load_recipe
from pipelines.kubeflow.connecting import Patience, connect
from pipelines.kubeflow.order import Order
from pipelines.kubeflow.schedules import Schedule, plan, set_schedule
from tests.kubeflow.server import Fault, Kubeflow

WEEKLY, DAILY = "0 3 * * 1", "0 4 * * *"
WRITES = (
    "recurring_run_service_create_recurring_run",
    "recurring_run_service_disable_recurring_run",
    "recurring_run_service_enable_recurring_run",
    "recurring_run_service_delete_recurring_run",
)
COMPILED = 'schemaVersion: "2.1.0"\n'


def crons(kubeflow: Kubeflow) -> list[tuple[str, str]]:
    return [
        (run.trigger["cron_schedule"]["cron"], run.status)
        for run in kubeflow.recurring_runs.values()
    ]


def test_a_schedule_is_pinned_and_runs_one_at_a_time(kubeflow, kubedistill, recipe):
    done = kubedistill("schedule", recipe, "--cron", WEEKLY, "--json")

    assert done.status == 0, done.stderr
    (run,) = kubeflow.recurring_runs.values()
    (version,) = kubeflow.versions.values()
    assert (run.max_concurrency, run.no_catchup, run.status) == ("1", True, "ENABLED")
    assert run.trigger["cron_schedule"] == {"cron": "0 0 3 * * 1"}
    assert run.pipeline_version_reference["pipeline_version_id"] == version.pipeline_version_id
    assert run.display_name == "tiny"
    assert json.loads(done.stdout)["changed"]
    assert "0 3 * * 1, which Kubeflow writes as 0 0 3 * * 1" in done.stderr


def test_the_same_schedule_again_changes_nothing(kubeflow, kubedistill, recipe):
    kubedistill("schedule", recipe, "--cron", WEEKLY)
    before = list(kubeflow.firing)

    done = kubedistill("schedule", "set", recipe, "--cron", "0 0 3 * * 1", "--json")

    assert json.loads(done.stdout)["changed"] is False
    assert "is scheduled so already" in done.stderr
    assert kubeflow.firing == before


@pytest.mark.parametrize(
    "change",
    [("--cron", DAILY), ("--cron", WEEKLY, "--experiment", "other")],
    ids=["time", "content"],
)
def test_another_time_or_content_takes_the_place(kubeflow, kubedistill, recipe, change):
    kubedistill("schedule", recipe, "--cron", WEEKLY)
    (before,) = kubeflow.recurring_runs

    done = kubedistill("schedule", recipe, *change)

    assert done.status == 0, done.stderr
    ((after, run),) = kubeflow.recurring_runs.items()
    assert after != before
    assert run.status == "ENABLED"
    assert max(kubeflow.firing) == 1
    assert kubeflow.deleted_with == ["ORPHAN"]  # a run of it that is under way goes on
    assert "replaced the schedule of tiny" in done.stderr


def test_a_paused_schedule_stays_so_when_it_is_replaced(kubeflow, kubedistill, recipe):
    kubedistill("schedule", recipe, "--cron", WEEKLY)
    kubedistill("schedule", "pause", "tiny")

    done = kubedistill("schedule", recipe, "--cron", DAILY)

    assert crons(kubeflow) == [("0 0 4 * * *", "DISABLED")]
    assert "it is paused; kubedistill schedule resume tiny" in done.stderr


def order(recipe, cron: str) -> Order:
    return Order(
        recipe=load_recipe(recipe),
        compiled=COMPILED,
        experiment="kubedistill",
        service_account=None,
        git_commit="",
        marks={"cron": cron},
    )


def reschedule(recipe, cron: str) -> None:
    set_schedule(connect(None, None, Patience(0.1, 0.05)), order(recipe, cron), cron)


@pytest.mark.parametrize(
    ("operation", "kind", "paused", "then"),
    [
        *((operation, "drop", False, "the same") for operation in WRITES),
        *((operation, "late", False, "the same") for operation in WRITES),
        *((operation, "late", False, "the former") for operation in WRITES),
        *((operation, "late", False, "a third") for operation in WRITES),
        *((operation, "late", True, "the same") for operation in (WRITES[0], WRITES[3])),
        (WRITES[0], "late", True, "the former"),
    ],
)
def test_a_replacement_that_crashed_is_taken_up(kubeflow, recipe, operation, kind, paused, then):
    first, second, third = "0 0 3 * * *", "0 0 4 * * *", "0 0 5 * * *"
    reschedule(recipe, first)
    if paused:
        (only,) = kubeflow.recurring_runs.values()
        only.mode, only.status = "DISABLE", "DISABLED"
    kubeflow.firing.clear()
    # From its first request of that kind on, the process is cut off, as if it had been killed.
    cut = [Fault(operation, kind)]

    def cut_off(request):
        if request.operation == operation:
            cut.append(Fault("*", "drop", times=-1))
            kubeflow.faults = cut

    kubeflow.on_request = cut_off
    kubeflow.faults = cut
    with pytest.raises(StepFailed) as told:
        reschedule(recipe, second)
    kubeflow.on_request, kubeflow.faults = None, []
    if operation in WRITES[1:3]:
        assert "Until the same command is given again, tiny may not be run" in str(told.value)

    wanted = {"the same": second, "the former": first, "a third": third}[then]
    reschedule(recipe, wanted)

    assert crons(kubeflow) == [(wanted, "DISABLED" if paused else "ENABLED")]
    assert max(kubeflow.firing, default=0) <= 1


def test_what_kubeflow_does_not_accept_leaves_the_present_schedule(kubeflow, kubedistill, recipe):
    kubedistill("schedule", recipe, "--cron", WEEKLY)
    for operation in (WRITES[0], WRITES[2]):
        kubeflow.faults = [Fault(operation, "403", message="no")]

        done = kubedistill("schedule", recipe, "--cron", DAILY)

        assert done.status == 2
        assert ("0 0 3 * * 1", "ENABLED") in crons(kubeflow)
        assert len(kubeflow.enabled()) == 1


@pytest.mark.parametrize("refused", [False, True])
def test_old_schedule_that_somebody_deletes_meanwhile_is_no_failure(kubeflow, recipe, refused):
    reschedule(recipe, "0 0 3 * * *")
    (old,) = kubeflow.recurring_runs

    def delete_it(request):
        if request.operation == WRITES[2 if refused else 1]:
            kubeflow.recurring_runs.pop(old, None)

    kubeflow.on_request = delete_it
    if refused:
        kubeflow.faults = [Fault(WRITES[2], "403", message="no")]
        with pytest.raises(UserError, match="403: no"):
            reschedule(recipe, "0 0 4 * * *")
        return
    reschedule(recipe, "0 0 4 * * *")

    assert crons(kubeflow) == [("0 0 4 * * *", "ENABLED")]


def test_of_two_at_the_same_moment_the_later_one_stays(kubeflow, recipe):
    def other(request):
        if request.operation == WRITES[0]:
            kubeflow.on_request = None
            reschedule(recipe, "0 0 9 * * *")

    kubeflow.on_request = other

    reschedule(recipe, "0 0 8 * * *")

    assert crons(kubeflow) == [("0 0 8 * * *", "ENABLED")]


def test_list_tells_of_recipes_and_leaves_out_what_others_scheduled(kubeflow, kubedistill, recipe):
    assert "no recipe is scheduled" in kubedistill("schedule", "list").stderr
    kubedistill("schedule", recipe, "--cron", WEEKLY)
    kubedistill("schedule", recipe, "--cron", DAILY, "--set", "name=other")
    theirs = next(iter(kubeflow.recurring_runs.values()))
    kubeflow.recurring_runs["x"] = type(theirs)(
        recurring_run_id="x", display_name="tiny", trigger=theirs.trigger, status="ENABLED"
    )
    kubeflow.most_per_page = 1

    listed = kubedistill("schedule", "list", "--json")
    shown = kubedistill("schedule", "list")

    found = {one["recipe"]: one for one in json.loads(listed.stdout)["schedules"]}
    assert set(found) == {"other", "tiny"}
    assert (found["tiny"]["cron"], found["tiny"]["state"]) == ("0 0 3 * * 1", "on")
    assert "0 0 4 * * *" in shown.stderr


def test_pause_resume_and_delete_by_name_or_file(kubeflow, kubedistill, recipe):
    kubedistill("schedule", recipe, "--cron", WEEKLY)

    assert kubedistill("schedule", "pause", recipe).status == 0
    assert crons(kubeflow) == [("0 0 3 * * 1", "DISABLED")]
    assert kubedistill("schedule", "resume", "tiny").status == 0
    assert crons(kubeflow) == [("0 0 3 * * 1", "ENABLED")]
    assert kubedistill("schedule", "delete", "tiny").status == 0
    assert kubeflow.recurring_runs == {}
    gone = kubedistill("schedule", "delete", "tiny")
    assert gone.status == 2
    assert "the recipe 'tiny' is not scheduled; no recipe is" in gone.stderr


@pytest.mark.parametrize(("command", "left"), [("pause", "DISABLED"), ("resume", "ENABLED")])
def test_pause_and_resume_end_a_replacement_that_crashed(
    kubeflow, kubedistill, recipe, command, left
):
    reschedule(recipe, "0 0 3 * * *")
    kubeflow.faults = [Fault(WRITES[1], "late"), Fault(WRITES[1], "drop", times=-1)]
    with pytest.raises(StepFailed):
        reschedule(recipe, "0 0 4 * * *")
    kubeflow.faults = []
    assert "was interrupted; schedule it again" in kubedistill("schedule", "list").stderr

    assert kubedistill("schedule", command, "tiny").status == 0

    assert crons(kubeflow) == [("0 0 4 * * *", left)]


def test_a_wrong_expression_is_status_2_before_anything_is_sent(kubeflow, kubedistill, recipe):
    done = kubedistill("schedule", recipe, "--cron", "0 25 * * *")

    assert done.status == 2
    assert "hour '25': should be 0 to 23" in done.stderr
    assert kubeflow.requests == []


def test_a_command_that_was_mistyped_is_no_recipe(kubedistill):
    done = kubedistill("schedule", "puase", "tiny")

    assert done.status == 2
    assert "No such command 'puase'" in done.stderr


def test_of_two_with_the_same_content_one_is_left():
    def made(identity: str, second: int) -> Schedule:
        at = datetime(2026, 11, 1, 3, 0, second, tzinfo=UTC)
        return Schedule(identity, "tiny", "0 0 3 * * 1", True, "k", True, frozenset(), "v", at)

    planned = plan([made("b", 2), made("a", 1)], "k")

    assert planned.keep.id == "a"
    assert [one.id for one in planned.delete] == ["b"]
