"""Checks an installation: versions, device, configuration, candles and saved models."""
