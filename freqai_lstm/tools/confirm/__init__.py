"""Hyperopt on one range, judged on the next."""
