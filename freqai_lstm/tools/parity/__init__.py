"""Whether a live bot predicted and signalled what a backtest of the same models does."""
