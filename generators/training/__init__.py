"""Training of the bundled weights: a miniature CLIP and a miniature Stable Diffusion."""
