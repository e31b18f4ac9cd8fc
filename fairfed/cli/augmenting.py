"""`fairfed augment` in the terminal: progress, tables, the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from evaluation.quality import QualityReport
from fairfed.augmentation.audit import audit
from fairfed.augmentation.output_dir import (
    AUDIT,
    CURATION,
    DATASET,
    GENERATION,
    PLAN,
    PREVIEW,
    QUALITY,
    OutputDir,
)
from fairfed.augmentation.pipeline import Engine, Pipeline
from fairfed.augmentation.preview import write_preview
from fairfed.augmentation.steps import STEPS, chosen_steps, run_steps
from fairfed.cli.augment_tables import (
    HOPELESS,
    print_audit,
    print_curation,
    print_plan,
    print_summary,
)
from fairfed.cli.quality_tables import print_quality
from fairfed.cli.running import columns, share_cores
from fairfed.config import PipelineConfig
from fairfed.errors import RunError
from semantic.errors import InputError

ENGINES = ("inprocess", "ray")
TITLES = {
    "audit": "Auditing the generator",
    "generate": "Generating",
    "curate": "Judging and replacing",
    "export": "Writing the image folder",
}


class TerminalWatcher:
    """Shows an augmentation's steps as bars and tables."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        # Seconds pass before the first image; until then a bar without an end is there.
        self._waiting: TaskID | None = progress.add_task("Loading data and models", total=None)
        self._task: TaskID | None = None

    def loaded(self) -> None:
        """Take away the bar that stands for everything before the first image."""
        if self._waiting is not None:
            self._progress.remove_task(self._waiting)
            self._waiting = None

    def planned(self, plan: dict[str, Any]) -> None:
        """Show what will be made and what it costs."""
        self.loaded()
        print_plan(self._console, plan)

    def began(self, step: str, images: int) -> None:
        """Open the bar of a step."""
        self.loaded()
        self._task = self._progress.add_task(TITLES[step], total=images)

    def images_done(self, count: int, made: int = 0) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.advance(self._task, count)

    def ended(self, step: str, result: dict[str, Any]) -> None:
        """Close the bar and show what came out."""
        if self._task is not None:
            shown = next(task for task in self._progress.tasks if task.id == self._task)
            total = shown.completed or shown.total
            self._progress.update(self._task, total=total, completed=total)
            self._task = None
        if step == "curate":
            print_curation(self._console, result)

    def assessed(self, report: QualityReport) -> None:
        """Show the quality of the export."""
        print_quality(self._console, report)


def augment_here(
    config: PipelineConfig,
    out: Path,
    *,
    until: str | None = None,
    only: str | None = None,
    engine: str = "inprocess",
    workers: int = 2,
    preview: bool = False,
    audit: bool = False,
    fresh: bool = False,
) -> None:
    """Run an augmentation on this machine."""
    steps = chosen_steps(until, only)
    chosen = _engine(engine)
    if (preview or audit) and (until or only):
        raise InputError("--preview and --audit-generator run no step; leave out --until, --only")
    if fresh and only not in (None, STEPS[0]):
        raise InputError(f"--fresh starts over with step {STEPS[0]!r}; leave out --fresh or --only")
    output = OutputDir(out, config, fresh)
    console = Console()
    share_cores(workers if chosen == "ray" else 1)
    with Progress(*columns(), console=console) as progress:
        watcher = TerminalWatcher(console, progress)
        try:
            with Pipeline(config, output, watcher, chosen, workers) as pipeline:
                if audit:
                    _audit(console, pipeline)
                if preview:
                    _preview(console, pipeline)
                if not (audit or preview):
                    run_steps(pipeline, steps)
        finally:
            watcher.loaded()
    if not (audit or preview):
        _say_where(console, output, steps)
        _refuse_nothing(output, steps)


def _refuse_nothing(output: OutputDir, steps: tuple[str, ...]) -> None:
    """End with an error where all that was asked for was rejected."""
    if not {"curate", "export"} & set(steps):
        return
    found = output.read(CURATION, "curate")
    if found["requested"] and not found["accepted"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found["rejected"].items())
        raise RunError(
            f"none of the {found['requested']} images asked for could be made: all were rejected "
            f"({reasons}). {HOPELESS}"
        )


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise InputError(f"--engine {name!r} is unknown; choose one of {', '.join(ENGINES)}")
    return "ray" if name == "ray" else "inprocess"


def _audit(console: Console, pipeline: Pipeline) -> None:
    print_audit(console, audit(pipeline))
    console.print(f"Audit: {pipeline.output.path / AUDIT}", soft_wrap=True)


def _preview(console: Console, pipeline: Pipeline) -> None:
    shown = write_preview(pipeline)
    console.print(f"Shown: {', '.join(shown)}")
    console.print(f"Preview: {pipeline.output.path / PREVIEW}", soft_wrap=True)


def _say_where(console: Console, output: OutputDir, steps: tuple[str, ...]) -> None:
    """The summary, and where things are; the last line names what the last step wrote."""
    if steps[-1] == "export":
        plan, generation = output.read(PLAN, "plan"), output.read(GENERATION, "generate")
        print_summary(console, plan, generation, output.read(CURATION, "curate"))
    written = {"plan": PLAN, "generate": GENERATION, "curate": CURATION, "export": QUALITY}
    for step in steps:
        console.print(f"{step}: {output.path / written[step]}", style="dim", soft_wrap=True)
    if steps[-1] == "export":
        console.print(f"Dataset: {output.path / DATASET}", soft_wrap=True)
    elif steps[-1] != STEPS[-1] and len(steps) > 1:
        console.print("Run the same command without --until to continue.", style="dim")
