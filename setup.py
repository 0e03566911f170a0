"""Maps the top-level folders to packages; everything else is in pyproject.toml.

Installed under their own names, `datasets` and `cli` would overwrite other people's
packages (Hugging Face's `datasets`, for one), so they are installed below `phdnet_tf`.
"""

from setuptools import setup

setup(
    packages=[
        "phdnet_tf",
        "phdnet_tf.cli",
        "phdnet_tf.datasets",
        "phdnet_tf.datasets.aspire_cmr",
    ],
    package_dir={
        "phdnet_tf": "phdnet_tf",
        "phdnet_tf.cli": "cli",
        "phdnet_tf.datasets": "datasets",
    },
    package_data={
        "phdnet_tf": ["py.typed"],
        "phdnet_tf.datasets.aspire_cmr": ["README.md", "CITATIONS.bib", "TAGS.txt"],
    },
)
