"""The replay exchange: a local server that answers like Binance USD-M futures.

freqtrade loads markets from an exchange even before a backtest. This server stands in for it, so
that an unmodified freqtrade downloads candles, backtests and trades in dry-run with no network.

From the data to the socket:

* ``market`` - what a market is: listed pairs, candles in their own timeframe, funding rates;
* ``synthetic`` - a seeded random market of ``coins``, ``price_paths`` - the processes behind it;
* ``recorded`` - candles that freqtrade stored in a data directory;
* ``candles`` - timeframes and aggregation;
* ``clock`` - whether the whole history is served, or only what happened until now;
* ``feed`` - what the exchange may show at this moment, and the candle that is still forming;
* ``payloads`` - the JSON of the answers, ``rest`` - the routes and their parameters;
* ``faults`` - what can go wrong on purpose, ``fault_plan`` - when it does, ``fault_injector`` -
  makes requests fail, ``control`` - the routes that show and change it;
* ``server`` - runs it, ``overlay`` - points freqtrade at it, ``cli`` - the ``replay`` command.
"""
