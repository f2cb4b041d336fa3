"""How fast the network trains and predicts, against plain PyTorch and stock FreqAI."""
