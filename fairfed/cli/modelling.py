"""`fairfed export` and `fairfed predict`: a run's model, and what it says of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import Override, argument, option
from fairfed.config import load_config
from semantic.errors import InputError

app = typer.Typer(add_completion=False)
PARTS = ("all", "test", "train")


@app.command()
def export(
    run_dir: Annotated[Path, argument("Directory of a run.", "RUN")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory of the model.")] = Path(
        "model"
    ),
    arm: Annotated[str | None, option("Whose model: the name of an arm.")] = None,
    client: Annotated[
        str | None,
        option("Whose, where each client has a model of its own (Ditto, FedBN, local)."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="A further file: onnx, torch-export; may be given twice."),
    ] = None,
) -> None:
    """Write the model of a run's arm: weights by name, what they are of, a card."""
    from fairfed.systems.classifier.exporting import export_run

    card = export_run(run_dir, out, arm, client, formats or ())
    typer.echo(f"Model: {card.parent}\nCard: {card}")
    typer.echo(f"Next: fairfed predict {card.parent} DATA -o predictions.parquet")


@app.command()
def predict(
    model: Annotated[Path, argument("Directory of a model that was exported.", "MODEL")],
    data: Annotated[
        str | None,
        argument(
            "Image folder (with or without labels), table, or 'hf:NAME', read as [data] says.",
            "[DATA]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        option("A run's configuration: without DATA, its clients' test rows.", "--config"),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File of predictions, .parquet or .csv.")
    ] = Path("predictions.parquet"),
    part: Annotated[str, option("Rows of DATA: all, test or train.")] = "all",
    encoder: Annotated[
        str | None, option("Where the CLIP is that the model stands on, if it stands on one.")
    ] = None,
    own_code: Annotated[
        bool, typer.Option("--own-code", help="Run a network that is code of its own.")
    ] = False,
    overrides: Override = None,
) -> None:
    """Predict the rows of a data set: classes, scores, and what is known of each row."""
    from fairfed.sites.packaged import load_model
    from fairfed.systems.classifier.predicting import rows_of, write_predictions

    if data is None and config is None:
        raise InputError("give DATA, or --config of a run whose test rows are to be predicted")
    if part not in PARTS:
        raise InputError(f"--part {part!r} is none; choose one of {', '.join(PARTS)}")
    found = load_model(model, encoder=encoder, own_code=own_code)
    source = [] if data is None else [f"data.source='{data}'"]
    chosen = load_config(config, [*(overrides or ()), *source])
    rows = rows_of(chosen, found, data is None, part)
    n = write_predictions(found, rows, out)
    typer.echo(f"{n:,} rows: {out}")
    columns = [f"--sensitive {name}" for name in found.study.labels.sensitive]
    if rows.table is not None:
        said = " ".join(["--truth label --prediction prediction", *columns])
        said += " --client client" if rows.clients else ""
        typer.echo(f"Next: fairfed audit {out} {said}")
