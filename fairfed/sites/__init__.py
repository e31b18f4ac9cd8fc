"""Sites: who owns rows, and what they are called in a federation."""
