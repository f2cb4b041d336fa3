"""Compares models walk-forward, through FreqAI itself, on the same candles, features and labels."""
