"""Which view an image shows, as its description or its orientation tells.

A proposal, to be shown with its reason: descriptions are free text, and hearts lie as
they lie.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# Behind the number of chambers; not a coil's channels, nor "T2 chest".
CHAMBERS = r"[\s_-]?(ch(?!ann|est)|kammer|cam|cavit)"
# A word by itself, for which "_" is no letter.
ALONE = r"(?<![a-z])%s(?![a-z])"

# What scanners, protocols and hospitals write, in English, German, French and Spanish.
# The first that is found counts, so what names a view in full comes first.
PATTERNS = (
    (
        "4ch",
        rf"(?<!\d)4{CHAMBERS}|four[\s_-]?chamber|vier[\s_-]?kammer|{ALONE % 'hla'}",
    ),
    (
        "2ch",
        rf"(?<!\d)2{CHAMBERS}|two[\s_-]?chamber|zwei[\s_-]?kammer|{ALONE % 'vla'}",
    ),
    ("3ch", rf"(?<!\d)3{CHAMBERS}|three[\s_-]?chamber|drei[\s_-]?kammer"),
    ("lvot", r"lvot|rvot|outflow"),
    (
        "sa",
        rf"short[\s_-]?ax|sax|{ALONE % 'sa'}|kurz[\s_-]?achs|petit[\s_-]?axe"
        r"|eje[\s_-]?corto",
    ),
)

# Normals of the usual planes in patient space (LPS), without sign. The short axis looks
# along the left ventricle: to the left, forward and down. The plane of four chambers
# holds that axis and the septum's normal, and so faces up and forward.
NORMALS = {"sa": (0.70, -0.54, -0.47), "4ch": (0.05, -0.80, 0.60)}

# How far a normal may lie from these, in degrees. Hearts differ by about 15 degrees,
# and the two planes, or a coronal plane, lie 37 and more from each other.
TOLERANCE = 20.0


@dataclass(frozen=True)
class Proposal:
    """A view and what speaks for it.

    Attributes:
        view: "sa", "4ch", another such as "2ch", or None if nothing tells.
        reason: Part of a sentence.
    """

    view: str | None
    reason: str


def propose(
    descriptions: tuple[str, ...], orientation: tuple[float, ...] | None
) -> Proposal:
    """Proposes the view of an image.

    Args:
        descriptions: Of its series and protocol, the most telling first.
        orientation: Six direction cosines, those of x first; or None.

    Returns:
        The view, from the descriptions if one names it, else from the orientation.
        The reason quotes what names the view, not the whole description, which may
        name a person.
    """
    for text in descriptions:
        for view, pattern in PATTERNS:
            match = re.search(pattern, text.lower())
            if match:
                word = text[match.start() : match.end()].strip(" _-")
                return Proposal(view, f"'{word}' in its description")
    if orientation is None:
        return Proposal(None, "neither its description nor an orientation tells")
    normal = _normal(orientation)
    angles = {view: _angle(normal, usual) for view, usual in NORMALS.items()}
    nearest = min(angles, key=lambda view: angles[view])
    if angles[nearest] <= TOLERANCE:
        return Proposal(
            nearest,
            f"its orientation, {angles[nearest]:.0f} degrees from the usual one",
        )
    return Proposal(None, "neither its description nor its orientation tells")


def _normal(orientation: tuple[float, ...]) -> tuple[float, float, float]:
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


def _angle(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Between two lines, in degrees."""
    length = math.hypot(*one) * math.hypot(*other)
    if length == 0:
        return 90.0
    cosine = abs(sum(a * b for a, b in zip(one, other, strict=True))) / length
    return math.degrees(math.acos(min(cosine, 1.0)))
