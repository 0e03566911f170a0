"""Why an image has no prediction."""


class RefusedImageError(ValueError):
    """An image that the model refuses: what is wrong with it."""


class ServerDownError(ValueError):
    """A server that does not answer: where, and what to do."""


class NotServedError(ValueError):
    """A model, a version or a label that the server does not have."""
