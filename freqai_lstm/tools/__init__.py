"""The commands of ``freqai-lstm``, each a file or a folder, and what several of them share."""
