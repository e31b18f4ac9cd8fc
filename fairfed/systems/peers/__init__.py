"""Peer-to-peer meta-learning without a server (PPFM; Yu et al., MSN 2022).

Source: "PPFM", Yu et al., 18th International Conference on Mobility, Sensing and Networking, 2022,
DOI 10.1109/MSN57253.2022.00086. Of it we know four blocks, from secondary sources: clustering of
nodes whose data are alike, task-level training at every node, cluster-level and global-level meta
training, all peer to peer, with a structure that adapts itself.

Not public, and ours: the clustering (Ward's, on a noised CLIP prototype and label histogram of each
peer), the meta updates (Reptile, Nichol et al. 2018, arXiv 1803.02999; first-order MAML, Finn et
al. 2017, arXiv 1703.03400), the election (lowest cost among the reachable), when to cluster again
(a peer's prototypes drift, or somebody joins), and that every round starts from the global model.
"""
