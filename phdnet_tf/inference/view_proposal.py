"""Proposes the view of an image, from its description or its orientation.

A proposal is to be shown with its reason, as it may be wrong: descriptions are free
text, and the orientation of hearts varies.
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
PATTERNS = {
    "4ch": rf"(?<!\d)4{CHAMBERS}|four[\s_-]?chamber|vier[\s_-]?kammer|{ALONE % 'hla'}",
    "2ch": rf"(?<!\d)2{CHAMBERS}|two[\s_-]?chamber|zwei[\s_-]?kammer|{ALONE % 'vla'}",
    "3ch": rf"(?<!\d)3{CHAMBERS}|three[\s_-]?chamber|drei[\s_-]?kammer",
    "lvot": r"lvot|rvot|outflow",
    "sa": rf"short[\s_-]?ax|sax|{ALONE % 'sa'}|kurz[\s_-]?achs|petit[\s_-]?axe"
    r"|eje[\s_-]?corto",
}

# Normals of the usual planes in patient space (LPS), without sign. The short axis looks
# along the left ventricle: to the left, forward and down. The plane of four chambers
# holds that axis and the septum's normal, and so faces up and forward.
NORMALS = {"sa": (0.70, -0.54, -0.47), "4ch": (0.05, -0.80, 0.60)}

# How far a normal may lie from these, in degrees. Hearts differ by about 15 degrees,
# and the two planes, or a coronal plane, lie 37 and more from each other.
TOLERANCE = 20.0

# The same for a plane whose description names the view.
TOLERANCE_IF_NAMED = 30.0


@dataclass(frozen=True)
class Proposal:
    """A view, and the reason to propose it.

    Attributes:
        view: "sa", "4ch", another such as "2ch", or None if nothing shows it.
        reason: The reason, as part of a sentence.
        named: Views that a description names, if the description did not decide.
    """

    view: str | None
    reason: str
    named: tuple[str, ...] = ()


def propose(
    descriptions: tuple[str, ...], orientation: tuple[float, ...] | None
) -> Proposal:
    """Proposes the view of an image.

    Args:
        descriptions: Descriptions of its series and protocol, the most informative
            first.
        orientation: Six direction cosines, those of x first; or None.

    Returns:
        The view that is named by the first description that names any. If that names
        several views, or a view of another plane, the view that the orientation shows.
        The reason quotes only the words that name the view, because the description may
        name a person.
    """
    words = next(filter(None, map(_words, descriptions)), {})
    angles = _angles(orientation) if orientation else {}
    seen = min(angles, key=lambda view: angles[view], default="")
    if angles.get(seen, 90) > TOLERANCE:
        seen = ""
    turned = f"its orientation, {angles.get(seen, 0):.0f} degrees from the usual one"
    nor = "its" if orientation else "an"
    if not words:
        if seen:
            return Proposal(seen, turned)
        return Proposal(None, f"neither its description nor {nor} orientation shows")

    [view, *others] = words
    *quoted, last = [f"'{word}'" for word in words.values()]
    said = ", ".join(quoted) + " and " * bool(quoted) + last + " in its description"
    if not others:
        # Of most views there is no usual plane; but they lie far from those of others.
        off = angles.get(view, 90 if seen else 0)
        if off <= TOLERANCE_IF_NAMED:
            return Proposal(view, said)
        if view in angles:
            said += f", {off:.0f} degrees off its usual plane"
    if seen:
        how = "among" if seen in words else "against"
        return Proposal(seen, f"{turned}, {how} {said}", tuple(words))
    return Proposal(None, f"neither {said}, nor {nor} orientation shows", tuple(words))


def _words(text: str) -> dict[str, str]:
    """The views that a text names, each with the word that names it."""
    found = {
        view: re.search(pattern, text.lower()) for view, pattern in PATTERNS.items()
    }
    words = {
        view: text[match.start() : match.end()].strip(" _-")
        for view, match in found.items()
        if match
    }
    if "3ch" in words:
        # It is the view of the outflow tract, and is often called both.
        words.pop("lvot", None)
    return words


def _angles(orientation: tuple[float, ...]) -> dict[str, float]:
    """Angles between a plane and the usual ones, in degrees."""
    a, b, c, d, e, f = orientation
    normal = b * f - c * e, c * d - a * f, a * e - b * d
    return {view: _angle(normal, usual) for view, usual in NORMALS.items()}


def _angle(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Angle between two lines, in degrees."""
    length = math.hypot(*one) * math.hypot(*other)
    if length == 0:
        return 90.0
    cosine = abs(sum(a * b for a, b in zip(one, other, strict=True))) / length
    return math.degrees(math.acos(min(cosine, 1.0)))
