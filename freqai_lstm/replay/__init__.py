"""The replay exchange: a local server that answers like Binance, USD-M futures or spot.

freqtrade loads markets from an exchange even before a backtest. This server stands in for it, so
that an unmodified freqtrade downloads candles, backtests and trades in dry-run with no network.
"""
