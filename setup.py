"""Maps the top-level folders to packages; everything else is in pyproject.toml.

Installed under their own names, `datasets` and `cli` would overwrite other people's
packages (Hugging Face's `datasets`, for one), so they are installed below `phdnet_tf`.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "phdnet_tf": "phdnet_tf",
    "phdnet_tf.cli": "cli",
    "phdnet_tf.datasets": "datasets",
}

setup(
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{n}" for n in find_packages(folder)))
    ],
    package_dir=FOLDERS,
    package_data={
        "phdnet_tf": ["py.typed"],
        "phdnet_tf.review": ["page/*"],
        "phdnet_tf.datasets.aspire_cmr": ["README.md", "CITATIONS.bib", "TAGS.txt"],
    },
)
