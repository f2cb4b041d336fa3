"""Searches parameters on one part of a timerange and confirms them on the rest."""
