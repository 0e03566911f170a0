"""The errors for which an image has no prediction."""


class RefusedImageError(ValueError):
    """The model refuses an image. The message says what is wrong with it."""


class ServerDownError(ValueError):
    """A server does not answer. The message says which, and what to do."""


class NotServedError(ValueError):
    """The server does not have a model, a version or a label."""
