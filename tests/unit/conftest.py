"""What holds for every unit test."""

from hypothesis import settings

# How long an example takes says nothing about whether it is right.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
