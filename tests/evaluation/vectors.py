"""The rows of fairlearn's own unit tests (test/unit/metrics/data_for_test.py, MIT licence)."""

import numpy as np

Y_TRUE = np.array(
    [int(digit) for digit in
     "10111011000111011001110000111111010100101001110001111001110110111111111"]
)  # fmt: skip
Y_PRED = np.array(
    [int(digit) for digit in
     "01110001111001110110110000111111010100101011011011011111000011111111111"]
)  # fmt: skip
G_1 = (np.arange(71) // 2) % 2
G_2 = (np.arange(71) // 3) % 2
