"""A federation of real sites over Flower: what a coordinator and a site write, start and check."""
