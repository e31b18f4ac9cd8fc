"""Put what `fairfed train-generator fashion-mnist` has made into the packages.

Usage: ``python scripts/bundle_weights.py DIRECTORY``
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from generators.diffusion import BUNDLED_MODEL
from generators.training.dataset import CLIP, PIPELINE
from generators.training.making import write_checksums
from semantic.encoder import BUNDLED_CLIP
from semantic.known_words import KNOWN_WORDS, write_known_words

SYNONYMS = ("handbag", "ankle boots")
"""Further words, of which the bundled models were seen to make what is meant, 16 times of 16."""


def main(made: Path) -> None:
    """Copy models, their words and the training's logs, and write checksums."""
    for name, bundled in ((CLIP, BUNDLED_CLIP), (PIPELINE, BUNDLED_MODEL)):
        if bundled.is_dir():
            shutil.rmtree(bundled)
        shutil.copytree(made / name, bundled)
        known = json.loads((bundled / KNOWN_WORDS).read_text(encoding="utf-8"))
        write_known_words(bundled, known["about"], {**known["words"], "synonyms": SYNONYMS})
    logs = BUNDLED_MODEL.parent / "training-log"
    logs.mkdir(exist_ok=True)
    for source in sorted((made / "work").glob("*.jsonl")):
        shutil.copyfile(source, logs / source.name)
    for folder in (BUNDLED_CLIP.parent, BUNDLED_MODEL.parent):
        write_checksums(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
