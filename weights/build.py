"""Takes a published model into the distribution of weights.

    python weights/build.py --model models/phdnet_sa --name sa-acdc

What was there under that name is replaced, but for a MODEL_CARD.md, which is written
once from what the model says of itself, and then is to be completed by hand.

A model of drawn images promises nothing of real ones: its weights have no threshold
that a confidence could reach, no error radii, and no bounds of errors.
"""

import argparse
import math
import shutil
from pathlib import Path
from typing import Any

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

from phdnet_tf.config import VIEW_NAME, Config
from phdnet_tf.export.checksums import require_complete
from phdnet_tf.export.description import load_description
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.networks import load_networks
from phdnet_tf.export.saved_model import export
from phdnet_tf.export.seen_images import load_seen_images
from phdnet_tf.export.versions import publish_version, resolve_version, versions
from phdnet_tf.files import unfinished_folder

PACKAGE = Path(__file__).parent / "phdnet_tf_weights"


def take(model: Path, name: str, package: Path = PACKAGE) -> Path:
    """Copies a version, with its Keras networks, as the next one of that name.

    Args:
        model: A model folder or one of its versions.
        name: Of the weights; letters, digits, "-" and "_".
        package: The folder of all weights.

    Returns:
        The new version's folder; earlier ones are gone.

    Raises:
        ValueError: If there is no model, it is incomplete, or its name is none.
        OSError: If it cannot be copied.
    """
    if not VIEW_NAME.fullmatch(name):
        raise ValueError(
            '--name: expected letters, digits, "-" and "_", such as sa-acdc. Received: '
            f"{name!r}."
        )
    version = resolve_version(model)
    require_complete(version)
    load_networks(version)  # It has to have them, and in a form that can be read.
    target = package / name
    description = load_description(version)
    if description["data"]["drawn"]:
        published = _without_promises(version, description, target)
    else:
        with unfinished_folder(target / "version") as partial:
            shutil.copytree(version, partial, dirs_exist_ok=True)
            published = publish_version(partial, target)
    for number in versions(target):
        if str(number) != published.name:
            shutil.rmtree(target / str(number))
    card = target / "MODEL_CARD.md"
    if not card.exists():
        card.write_text(model_card(name, description))
    return published


def _without_promises(version: Path, description: dict[str, Any], target: Path) -> Path:
    """Exports it again: no point is high confidence, and no error is bounded."""
    config = Config.from_dict(description["config"])
    networks = load_networks(version)
    served = ServedGraph(
        networks,
        config,
        [math.inf] * len(config.model.landmarks),
        recognition=description["recognition_threshold"],
    )
    unreachable = dict.fromkeys(description["thresholds"])
    unbounded = {
        name: bins | {"bounds_mm": [None] * len(bins["bounds_mm"])}
        for name, bins in description["bins"].items()
    }
    return export(
        served,
        description | {"thresholds": unreachable, "bins": unbounded},
        target,
        load_seen_images(version),
        networks,
    )


def model_card(name: str, description: dict[str, Any]) -> str:
    """A card with what the model says of itself, and what it cannot know left open."""
    data, validation = description["data"], description["validation"]
    taught, judged = (
        f"{data['images']['validation']} of the folds "
        f"{', '.join(map(str, data['validation_folds']))}",
        "On the images that chose weights and thresholds, which flatters:",
    )
    if not data["validation_folds"]:
        taught, judged = (
            "the same images, each predicted by networks that learnt from other folds",
            "On these images, each by networks and thresholds of other folds:",
        )
    rows = [
        f"| {landmark} | {groups['all']['mean']:.2f} | {groups['all']['median']:.2f} |"
        for landmark, groups in validation["landmarks"].items()
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Landmarks of the view {description['view']}: "
            f"{', '.join(description['landmarks'])}.",
            "",
            "## For",
            "",
            "Research. Not a medical device: nothing here was validated for clinical "
            "use. TO BE COMPLETED: images, scanners and patients that it is for.",
            "",
            "## Learnt from",
            "",
            f"{data['name']}: {data['images']['training']} images of the folds "
            f"{', '.join(map(str, data['training_folds']))}; thresholds, radii and "
            f"recognition from {taught}. Kept apart: "
            f"{', '.join(map(str, data['test_folds'])) or 'none'}.",
            "",
            "## Measured",
            "",
            judged,
            "",
            "| landmark | mean error, mm | median, mm |",
            "| --- | --- | --- |",
            *rows,
            "",
            "TO BE COMPLETED: figures on images apart, by subgroup.",
            "",
            "## Limits",
            "",
            "TO BE COMPLETED. A landmark that is of low confidence is to be looked at.",
            "",
            "## Made by",
            "",
            "TO BE COMPLETED: the one command.",
            "",
        ]
    )


def main() -> None:
    """Prints where the weights are now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True, help="of the weights, as sa-acdc")
    arguments = parser.parse_args()
    try:
        print(take(arguments.model, arguments.name))
    except (OSError, ValueError) as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
