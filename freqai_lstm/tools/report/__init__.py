"""What a finished backtest says about the model's skill."""
