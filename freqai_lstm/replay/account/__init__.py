"""A futures account with made-up money: balance, positions, orders and fills, without HTTP.

Everything in it follows from the market and a seed: orders fill and stops trigger where the path of
the price reaches them, whenever that is looked at.
"""
