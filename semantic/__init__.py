"""What classes mean: CLIP, attributes, prompts and cell scores."""
