"""Zero-shot data augmentation: Fed-ZDAC and Fed-ZDAS.

W. Hao, M. El-Khamy, J. Lee, J. Zhang, K. J. Liang, C. Chen and L. Carin, "Towards Fair Federated
Learning with Zero-Shot Data Augmentation", CVPR Workshops 2021, arXiv 2104.13417. Images come out
of the federated model by batch-norm inversion (`generators.inversion`): at the clients, for the
classes that they lack (`fairfed.systems.inversion.images`), or at the server, which fine-tunes the
aggregate on them (`fairfed.systems.inversion.server`). Nothing but weights and counts is
communicated.

The paper's weights, pool sizes and schedules could not be confirmed: ours are settings of
`[inversion]`, chosen by measurement (`docs/systems/fed-zda.md`, which lists our departures).
"""

from __future__ import annotations

from fairfed.config.inversion import InversionConfig
from fairfed.config.model import Agreement


def inversion_settings(config: Agreement) -> InversionConfig:
    """The section `[inversion]`, or its defaults where the file has none."""
    return config.inversion or InversionConfig()
