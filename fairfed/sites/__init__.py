"""Sites: who owns data, and what is done with them at home."""
