"""Binance's language: ``payloads`` - its JSON, ``rest`` - its routes, ``overlay`` - the way."""
