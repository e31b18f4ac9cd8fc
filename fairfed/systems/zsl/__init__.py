"""Federated zero-shot learning with mid-level semantics (FedZSL; Sun et al., arXiv 2208.13465).

Clients with disjoint classes train one feature generator (f-CLSWGAN; Xian et al., CVPR 2018) that
attributes condition and CLIP text augments. Only the generator is communicated. The server makes
features of classes that nobody has seen and learns to classify by them. Departures from the paper
are named where they are made, and together in `docs/systems/fedzsl.md`.
"""
