"""Trains all models of a walk-forward ahead, in parallel, for freqtrade's commands to pick up."""
