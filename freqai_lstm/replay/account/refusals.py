"""What an exchange refuses."""


class RefusalError(Exception):
    """A request that the account refuses.

    :param code: Binance's error code, below 0.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
