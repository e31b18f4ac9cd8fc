"""Federated classifiers: rules that steer, augmentation before and within rounds, baselines."""
