"""The replay exchange: a local server that answers like Binance USD-M futures.

freqtrade loads markets from an exchange even before a backtest. This server stands in for it, so
that an unmodified freqtrade downloads candles, backtests and trades in dry-run with no network.

From the data to the socket:

* ``market`` - what a market is: listed pairs, candles in their own timeframe, funding rates;
* ``synthetic`` - a seeded random market of ``coins``, ``price_paths`` - the processes behind it;
* ``recorded`` - candles that freqtrade stored in a data directory;
* ``candles`` - timeframes and aggregation;
* ``feed`` - what the exchange may show at this moment, by its clock, and the candle still forming;
* ``faults`` - what can go wrong on purpose; ``binance`` - requests and answers;
* ``server`` - runs it; ``cli`` - the ``replay`` command.
"""
