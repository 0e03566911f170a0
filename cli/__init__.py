"""The command line, `phdnet-tf`: commands parse options, call the library and print.

TensorFlow takes seconds to import, and click a tenth of a second. Commands therefore
import the library inside their body, so that `phdnet-tf --help` answers at once.
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
from phdnet_tf.cli.options import printing_failed
from phdnet_tf.cli.phantom import phantom
from phdnet_tf.cli.predict import predict
from phdnet_tf.cli.review import review
from phdnet_tf.cli.serve import serve
from phdnet_tf.cli.train import train


class Commands(click.Group):
    """The group of all commands. It reports a failing standard output in one line."""

    def invoke(self, context: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(context)
        except OSError as error:
            # click handles a closed pipe.
            if error.errno == errno.EPIPE or not printing_failed(error):
                raise
            # Otherwise Python flushes once more at exit, and prints a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.ClickException(
                f"standard output cannot be written: {error.strerror}. Redirect it "
                "elsewhere, or free some disk space."
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="phdnet-tf")
def main() -> None:
    """Locate landmarks in cardiac MR, and report how reliable each one is.

    Not a medical device.
    """


commands = (train, evaluate, predict, review, batch, serve, benchmark, phantom, dataset)
for command in (*commands, list_models):
    main.add_command(command)
