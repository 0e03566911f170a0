"""Weights that are installed as packages of their own, and what they may be used for.

A distribution publishes weights by an entry point of the group `phdnet_tf.weights`,
whose value is a package without code. Each folder in it is a model folder, with one or
more versions, as in the folder of all models; its name is the weights'.
"""

import importlib.util
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from phdnet_tf.export.description import load_description
from phdnet_tf.export.versions import resolve_version, versions

GROUP = "phdnet_tf.weights"


@dataclass(frozen=True)
class Weights:
    """A model that is installed.

    Attributes:
        name: Its own, for example "sa-acdc".
        view: Name of its view.
        version: Folder of its newest version.
        source: Name and version of the distribution, "phdnet-tf-weights 0.1.0".
        licence: Under which it may be used, an SPDX expression or what stands for it.
    """

    name: str
    view: str
    version: Path
    source: str
    licence: str


def installed_weights() -> list[Weights]:
    """All weights that are installed, by the names of distribution and weights.

    Raises:
        ValueError: If a distribution says it has weights, and they are not there.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return [weights for point in points for weights in _weights(point)]


def _weights(point: EntryPoint) -> list[Weights]:
    distribution = point.dist
    package = importlib.util.find_spec(point.value)
    if package is None or not package.submodule_search_locations or not distribution:
        raise ValueError(
            f"{point.name}: expected weights in the package {point.value}. Found none: "
            "install the distribution again, or uninstall it."
        )
    [folder] = package.submodule_search_locations
    about = distribution.metadata.json
    licence = about.get("license_expression") or about.get("license") or "unknown"
    return [
        Weights(
            name=each.name,
            view=load_description(version)["view"],
            version=version,
            source=f"{distribution.name} {distribution.version}",
            licence=str(licence),
        )
        for each in sorted(Path(folder).iterdir())
        if versions(each)
        for version in [resolve_version(each)]
    ]
