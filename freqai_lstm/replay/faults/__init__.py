"""What can go wrong on purpose: ``plan`` - what and when, ``http`` - for whom and how."""
