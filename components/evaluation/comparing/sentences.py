"""What a comparison says in words: the summary, and warnings about what it rests on."""

from components.evaluation.comparing.findings import Findings
from components.evaluation.comparing.policy import Policy
from components.evaluation.judging.sentences import times_of_100
from components.evaluation.reporting.statements import Comparison as Difference
from components.evaluation.reporting.statements import relation
from components.shared.formatting import GAP, counted, integer, level, percent, points, short
from components.shared.results import KnownRows, LabelledComparison

_MOST_NAMED = 3


def difference(found: Difference, rows: int, challenger: str, champion: str, policy: Policy) -> str:
    """The two models on the labelled rows, by their versions."""
    names = f"challenger version {challenger}", f"champion version {champion}"
    compared = relation(found, policy.confidence, *names, digits=2)
    return _plain(f"{compared}, on {counted(rows, 'labelled row')}.")


def summary(findings: Findings, policy: Policy) -> str:
    """What was found, in one to three sentences."""
    match findings.judgement.judged_by, findings.labelled:
        case "labels", LabelledComparison() as labelled:
            parts = [labelled.sentence, _about_margin(findings, policy)]
        case "agreement", _:
            parts = [_about_agreement(findings, policy), _about_accuracy(findings)]
        case _:
            rows = findings.rows.rows
            parts = [
                f"Only {counted(rows, 'row')} {'is' if rows == 1 else 'are'} fresh, and "
                f"{integer(policy.min_rows)} are needed to judge."
            ]
    return _plain(" ".join(parts))


def warnings(findings: Findings, policy: Policy) -> list[str]:
    """Whole sentences about what the recommendation rests on."""
    found = [
        _same_file(findings),
        _few_labels(findings, policy),
        _power(findings),
        _within_margin(findings, policy),
        _disagreement(findings, policy),
        _shifted(findings),
        *(_known(known, findings) for known in findings.rows.known),
        _not_looked_for(findings),
        _undated(findings),
        _noisy(findings),
    ]
    return [_plain(sentence) for sentence in found if sentence]


def _about_margin(findings: Findings, policy: Policy) -> str:
    tolerated = f"A drop of {_margin(policy)} is tolerated"
    if findings.judgement.recommendation == "supports":
        return f"{tolerated}, and a larger one is ruled out."
    if findings.judgement.recommendation == "against":
        return f"{tolerated}, and this one is larger."
    return f"{tolerated}; a larger one can be neither shown nor ruled out."


def _about_agreement(findings: Findings, policy: Policy) -> str:
    agreement = findings.agreement
    return (
        f"The two predict the same class on {percent(agreement.estimate.value)} of "
        f"{counted(findings.rows.rows, 'fresh row')}, with {level(policy.confidence)} bounds of "
        f"{percent(agreement.lower)} and {percent(agreement.upper)}; at least "
        f"{short(percent(policy.min_agreement))} is asked for."
    )


def _about_accuracy(findings: Findings) -> str:
    """What agreement says of it: two models differ by no more than the rows they differ on."""
    if findings.judgement.recommendation == "supports":
        most = points(1 - findings.agreement.lower).lstrip("+")
        return f"So whatever the labels are, its accuracy is at most {most} below the champion's."
    which = "Which of the two is right where they differ, only labels can tell."
    if findings.judgement.recommendation == "against":
        return which
    return f"More rows are needed to say whether that is met. {which}"


def _same_file(findings: Findings) -> str | None:
    champion, challenger = findings.models["champion"], findings.models["challenger"]
    if champion.model_digest != challenger.model_digest:
        return None
    return "Both versions are the very same file."


def _few_labels(findings: Findings, policy: Policy) -> str | None:
    count = findings.rows.labelled
    if findings.judgement.judged_by == "labels" or not count:
        return None
    return (
        f"Only {counted(count, 'fresh row')} {'has' if count == 1 else 'have'} a label, fewer than "
        f"the {integer(policy.min_rows)} that accuracy is judged on."
    )


def _power(findings: Findings) -> str | None:
    labelled = _judging_labels(findings)
    if labelled is None or findings.judgement.recommendation != "inconclusive":
        return None
    power = labelled.power
    more = (
        "no number of rows within reach makes that 80"
        if power.rows_needed is None
        else f"for 80 times about {integer(power.rows_needed)} labelled rows are needed"
    )
    return (
        f"With {counted(power.rows, 'labelled row')}, a challenger exactly as good as the champion "
        f"is supported about {times_of_100(power.power)} times of 100; {more}."
    )


def _within_margin(findings: Findings, policy: Policy) -> str | None:
    labelled = _judging_labels(findings)
    if labelled is None or not -policy.margin <= labelled.lower <= labelled.upper < 0:
        return None
    return (
        "The challenger is less accurate than the champion beyond chance, though within the margin "
        f"of {_margin(policy)}."
    )


def _disagreement(findings: Findings, policy: Policy) -> str | None:
    agreement = findings.agreement
    if _judging_labels(findings) is None or agreement.upper >= policy.min_agreement:
        return None
    return (
        f"The two predict the same class on only {percent(agreement.estimate.value)} of the rows, "
        "so whatever reads the predictions will see many of them change."
    )


def _shifted(findings: Findings) -> str | None:
    beyond = sorted(
        (shift for shift in findings.shifts if shift.beyond_chance),
        key=lambda shift: -abs(shift.challenger - shift.champion),
    )
    if not beyond:
        return None
    named = ", ".join(
        f"{shift.name} ({integer(shift.champion)} to {integer(shift.challenger)} rows)"
        for shift in beyond[:_MOST_NAMED]
    )
    more = len(beyond) - _MOST_NAMED
    rest = f", and {integer(more)} more" if more > 0 else ""
    return f"Some classes are predicted more or less often, beyond chance: {named}{rest}."


def _known(known: KnownRows, findings: Findings) -> str | None:
    if known.rows is not None or _all_newer(known, findings):
        return None
    return (
        f"Rows that the {known.role} was trained or tested on could not be left out, since "
        f"{known.why_unknown}: if there are any, its accuracy here is flattered."
    )


def _all_newer(known: KnownRows, findings: Findings) -> bool:
    """Whether all rows arrived after the model was registered."""
    since, registered = findings.rows.since, findings.models[known.role].registered_at
    return since is not None and registered is not None and since >= registered


def _not_looked_for(findings: Findings) -> str | None:
    if findings.rows.left_out_known is not None:
        return None
    return (
        "Rows that the models were trained or tested on were not looked for: if there are any, "
        "accuracy here is flattered."
    )


def _undated(findings: Findings) -> str | None:
    count = findings.rows.undated
    if not count:
        return None
    return f"{counted(count, 'row')} without a time {'was' if count == 1 else 'were'} left out."


def _noisy(findings: Findings) -> str | None:
    if not findings.noise.noisy:
        return None
    return (
        "The machine was noisy while latencies were measured; the ratio of the two holds better "
        "than the milliseconds."
    )


def _judging_labels(findings: Findings) -> LabelledComparison | None:
    """The labelled rows, where they judge."""
    return findings.labelled if findings.judgement.judged_by == "labels" else None


def _margin(policy: Policy) -> str:
    margin = short(points(policy.margin, 2)).lstrip("+")
    return margin.removesuffix("s") if margin.startswith(f"1{GAP}") else margin


def _plain(text: str) -> str:
    """Without no-break spaces: it is read in terminals and logs too."""
    return text.replace(GAP, " ")
