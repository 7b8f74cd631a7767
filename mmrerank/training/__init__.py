"""Training: samples, losses, trainer; takes the model as an argument."""
