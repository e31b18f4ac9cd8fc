"""Federated classifiers: rules that steer, augmentation before and within rounds, baselines.

What the project's own way is compared with is a few lines on parts that are there: local,
centralised, zero-shot, synthetic and one-shot are an arm's `system`; SCAFFOLD is its
`control_variates`.
"""
