"""What the project's own way is compared with: systems that run as arms of an experiment.

Each is a few lines on parts that are there: local, centralised, zero-shot, synthetic and one-shot
are an arm's `system`; SCAFFOLD is its `control_variates`.
"""

from __future__ import annotations
