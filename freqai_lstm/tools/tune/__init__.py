"""Searches parameters of network and training on walk-forward skill, with Optuna."""
