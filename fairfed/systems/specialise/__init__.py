"""Adaptation of foundation models: CLIP to the federation's classes, diffusion to its images.

`classifier` builds the adapted CLIP of an arm. The rest is domain specialisation: rounds in which
clients go on training the generator's UNet by LoRA on images without labels.
"""
