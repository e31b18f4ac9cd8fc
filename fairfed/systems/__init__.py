"""What a federation can do: each system has a folder of its own."""
