"""Group counts, fairness metrics, intervals and the evaluation report."""
