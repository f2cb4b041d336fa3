"""Copies the drop-ins and configurations of this package into a freqtrade user directory."""
