"""Heads on frozen features that label skew cannot touch: one round, sums only, closed form.

FedNCM (Legate et al. 2023, arXiv 2309.03837), Fed3R (Fanì et al. 2024, arXiv 2406.01116), FedCOF
(Goswami et al. 2025, arXiv 2412.14326) and linear discriminant analysis. A site sends, for each
class × group, how many rows it has, the sum of their features and that of the products of these;
the server adds up and solves.
"""
