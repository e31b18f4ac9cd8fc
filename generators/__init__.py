"""Images for the cells that a client lacks: planning, generation, curation, store."""
