"""A small project of a review, and changes of its points."""

from itertools import count

from phdnet_tf.review.changes import Change
from phdnet_tf.review.trail import Lane

ADA = Lane("reader", "Ada")
HASH = "c0ffee"
NUMBERS = count()


def change(image=1, landmark="apex", previous="", **values):
    """A change of a point; by default it moves to (10.5, 20.25)."""
    number = f"u{next(NUMBERS)}"
    changed = {
        "uuid": number,
        "step": f"s-{number}",
        "image": image,
        "content_hash": HASH,
        "model": "phdnet_4ch/1",
        "landmark": landmark,
        "action": "move",
        "previous": previous,
        "status": "corrected",
        "x": 10.5,
        "y": 20.25,
        "note": "",
        "seconds": 1.5,
    }
    return Change(**changed | values)
