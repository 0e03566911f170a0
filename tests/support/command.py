"""Runs the command line in this process."""

from click.testing import CliRunner

from phdnet_tf.cli import main


def run(*arguments, code=0):
    """`phdnet-tf` with the arguments, which has to end with the exit code."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result
