"""What a study hides of its sites, `[privacy]`."""

from __future__ import annotations

from pydantic import Field

from fairfed.config.base import Section


class PrivacyConfig(Section):
    """What the server, and whoever reads at it, does not learn of a single site."""

    secure_sum: bool = Field(
        False,
        description="Weights after training (of `[heads]`: sums of features) leave a site under "
        "masks that cancel in the sum over all sites: the server learns the sum alone. What the "
        "weights of the sum are steered by (counts, loss) leaves as the sites' policies say.",
    )
    threshold: float = Field(
        0.6667,
        ge=0.5,
        lt=1,
        description="With `secure_sum`: more than this share of a round's sites must be there to "
        "the end, and can open a site's masks together. With 0.5 one of three may be lost; above "
        "2/3, a server that lies and a third of the sites learn nothing together.",
    )
