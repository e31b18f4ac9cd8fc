"""Purposes of random numbers: the first number of what `fairfed.draws.generator_of` is given."""

INITIAL, CRITIC, CLASSIFIER, TRAINING, JUDGING, TESTING = range(101, 107)
