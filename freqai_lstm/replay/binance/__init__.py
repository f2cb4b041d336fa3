"""Binance's language: its JSON, its routes, and the way to it."""
