"""All that knows FreqAI's inside: its loop, its files, its names."""
