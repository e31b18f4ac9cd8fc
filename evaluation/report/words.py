"""Definitions and explanations that the report prints."""

from __future__ import annotations

from evaluation.compare_runs import MEASURES
from evaluation.registry import METRICS
from evaluation.summary import GAPS, HEADLINE_METRICS

DEFINITIONS = (
    (
        "Test accuracy",
        "Share of the test {unit} of all clients that the aggregated model of the last "
        "measured round gets right. Interval: 95 %, percentiles of 1,000 multinomial "
        "bootstrap replicates of the confusion counts, which is exactly a bootstrap of the "
        "rows.",
    ),
    (
        "Recall of missing classes",
        "Mean over all pairs (client, class of which this client has no real training {one}) "
        "of the model's recall of that class on the test {unit} of all clients. The reference "
        "arm, whose clients lack nothing, is weighted like the baseline.",
    ),
    (
        "Client accuracy",
        "Accuracy of the same model on each client's own test {unit}: unweighted mean, "
        "population standard deviation, worst client. Client fairness, not group fairness.",
    ),
    (
        "Jain index",
        "(Σx)² / (n Σx²) over client accuracies x; 1 is perfectly even, 1/n is one client "
        "only (Jain et al. 1984).",
    ),
    (
        "Worst cell",
        "Lowest recall among the class × group cells that have test {unit}. With few {unit} "
        "in a cell this is noisy; the number of {unit} is given.",
    ),
    (
        "Accuracy difference",
        "Largest difference of accuracy between two groups.",
    ),
    (
        "Demographic parity difference",
        "Largest difference between groups in the rate at which a class is predicted (fairlearn).",
    ),
    (
        "Equal opportunity difference",
        "Largest difference between groups in the true positive rate, which is the recall "
        "(fairlearn).",
    ),
    (
        "Equalized odds difference",
        "The larger of the true positive rate difference and the false positive rate "
        "difference between groups (fairlearn's worst_case, not the mean of the two).",
    ),
    (
        "More than two classes",
        "Each class against the rest, then the unweighted mean over the classes. With two "
        "classes the positive class is the last, as in fairlearn.",
    ),
    (
        "Undefined",
        "A group without {unit} is left out of every gap, and so is, class by class, a group "
        "with no {one} to compute the rate from. Fewer than two groups left: undefined, shown "
        "as an en dash.",
    ),
    (
        "Intervals of gaps and worst cases",
        "Hull of the percentile and the basic bootstrap interval: a gap is a maximum, and "
        "resampling pushes a maximum upwards, so percentiles alone would start too high.",
    ),
    (
        "Chance",
        "The gap that stays unsurpassed in 95 % of draws in which each group's predictions follow "
        "the rates of all groups together, with the {unit} per class and group as they are. Small "
        "groups and many classes make it large.",
    ),
    (
        "Change against the baseline",
        "Difference of the two values; its interval draws both arms independently, although "
        "they share test {unit}. Of worst cases and gaps it also reaches as far as either may be "
        "over- or underestimated. Better and worse mean that the interval does not contain 0. "
        "Several arms and metrics are compared without correction for multiple testing.",
    ),
    (
        "MB sent",
        "Model bytes down and up, all clients and rounds, in 10⁶ bytes.",
    ),
)
"""What is measured and how; `{unit}` and `{one}` stand for what the run's data are."""


def definitions(unit: str) -> list[tuple[str, str]]:
    """The definitions, for a run over `unit`: ``images`` or ``rows``."""
    one = unit.removesuffix("s")
    return [(title, text.format(unit=unit, one=one)) for title, text in DEFINITIONS]


REASONS = {
    "margin": "CLIP places the image closer to another cell than to its own",
    "score": "CLIP score below the threshold",
    "blank": "nearly one flat colour, or blackened by a safety filter",
    "nsfw": "flagged by the safety checker",
    "duplicate": "nearly the same as an image already kept",
    "memorised": "too close to a real training image",
}

GAP_TITLES = {name: METRICS[name].title for name in GAPS}
CHANGE_TITLES = {m.name: m.title for m in MEASURES if m.name in HEADLINE_METRICS}
