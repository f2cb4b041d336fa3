"""What can go wrong on purpose: ``fault`` - what, ``plan`` - when, ``http`` - for whom and how."""
