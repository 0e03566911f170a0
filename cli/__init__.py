"""The command line, `phdnet-tf`: each command translates and prints, nothing else.

TensorFlow takes seconds to import and click a tenth of one, so commands import the
library inside their body, and `phdnet-tf --help` answers at once.
"""

import errno
import os
import sys
from typing import Any

import click

from phdnet_tf import __version__
from phdnet_tf.cli.batch import batch
from phdnet_tf.cli.benchmark import benchmark
from phdnet_tf.cli.dataset import dataset
from phdnet_tf.cli.evaluate import evaluate
from phdnet_tf.cli.models import list_models
from phdnet_tf.cli.phantom import phantom
from phdnet_tf.cli.predict import predict
from phdnet_tf.cli.review import review
from phdnet_tf.cli.serve import serve
from phdnet_tf.cli.train import train


class Commands(click.Group):
    """Commands that say in one line that standard output cannot be written."""

    def invoke(self, context: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(context)
        except OSError as error:
            # click knows what to do where nobody reads on. Errors of files have their
            # names, and those of streams have none.
            if error.errno == errno.EPIPE or error.filename:
                raise
            # Or Python tries once more at its end, with a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.ClickException(
                f"standard output cannot be written: {error.strerror}. Write it "
                "elsewhere, or make room."
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="phdnet-tf")
def main() -> None:
    """Locate landmarks in cardiac MR, and say how far each can be trusted.

    Not a medical device.
    """


commands = (train, evaluate, predict, review, batch, serve, benchmark, phantom, dataset)
for command in (*commands, list_models):
    main.add_command(command)
