"""Recipe of the embedded model `tiny-omni`: generated world, training, evaluation, demo files."""
