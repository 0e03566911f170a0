"""What every command has: help at once, and one line for a slip."""

import os
import subprocess
import sys
import time

import pytest
from support.command import run
from support.weights import install

from phdnet_tf.cli import options


def test_help_answers_at_once():
    started = time.monotonic()
    slow = (
        "import sys\nfrom phdnet_tf.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print([n for n in ('tensorflow', 'numpy') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True)

    assert "Usage" in done.stdout and done.stdout.endswith("[]\n"), done.stderr
    # The bar is 0.3 s on a quiet machine; the imports above are what costs.
    assert time.monotonic() - started < 3


COMMANDS = [
    ["predict", "image.dcm"],
    ["evaluate"],
    ["batch", "run", "image.dcm", "--output", "out"],
    ["review", "open", "image.dcm", "--project", "project"],
]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--view", "../sa"], 2, "'../sa'"),
        (["train", "--view", "2ch"], 1, "Give the folder with --data"),
        (["train", "--view", "sa", "--data", "nowhere"], 2, "'nowhere' does not exist"),
        (["train", "--view", "sa", "--test-fold", "0"], 2, "two different folds"),
        (["train", "--view", "sa", "--time-limit", "0"], 2, "--time-limit"),
        (["train", "--view", "sa", "--resume"], 1, "no run to resume"),
        (["evaluate"], 1, "phdnet-tf train --view"),
        (["predict", "nowhere.dcm"], 2, "'nowhere.dcm' does not exist"),
        # Of what would change nothing.
        (["predict", ".", "--output", "out", "--format", "table"], 2, "only printed"),
        (["predict", ".", "--maps"], 2, "--maps needs PNG: add --output"),
        (
            ["predict", ".", "--maps", "--output", "out", "--format", "json"],
            *(2, "--maps needs PNG: add --output DIR --format png"),
        ),
        (["predict", ".", "--include-unrecognised"], 2, "add --output DIR --format sr"),
        (["predict", ".", "--overwrite"], 2, "needs a folder: add --output DIR"),
        (["predict", ".", "--include-uids"], 2, "needs JSON or CSV: add --format json"),
        (["predict", ".", "--timeout", "30"], 2, "needs a server: add --server URL"),
        (["predict", ".", "--server-token", "token"], 2, "--server-token needs a serv"),
        (
            ["predict", ".", "--server-ca", "token", "--server", "http://here"],
            *(2, "needs a server with TLS: add --server https://"),
        ),
        (
            ["predict", ".", "--models", "models", "--server", "http://here"],
            *(2, "--models is a folder here"),
        ),
        *(
            ([*command, "--model", ".", "--models", "m"], 2, "Choose one of the two")
            for command in COMMANDS
        ),
        (["phantom", "here"], 2, "Missing option '--view'"),
    ],
)
def test_a_users_mistake_is_one_clear_line(
    arguments, code, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("")
    (tmp_path / "image.dcm").touch()

    result = run(*arguments, code=code)

    assert message in result.output and "Traceback" not in result.output


def described(models, name, content='{"view": "sa", "landmarks": []}'):
    """A version of a model without its graph."""
    version = models / name / "1"
    version.mkdir(parents=True)
    (version / "phdnet.json").write_text(content)
    return version


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where weights are installed; the current folder has an image and may get more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image.dcm").touch()
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_copy_of_a_model_is_not_taken_for_it(command, site, tmp_path):
    described(tmp_path / "models", "phdnet_sa")
    described(tmp_path / "models", "phdnet_sa-old")

    result = run(*command, code=1)

    assert result.stderr == (
        "Error: models/phdnet_sa and models/phdnet_sa-old are both models of sa: "
        "choose one with --model, or move one away.\n"
    )
    # The view's name is the folder's.
    [found] = options.find_models(None, tmp_path / "models", "sa")
    assert found.name == "phdnet_sa"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_damaged_weights_are_one_line(command, site, tmp_path):
    install(site, described(tmp_path, "broken", '{"view": "sa"'))

    result = run(*command, code=1)

    assert "expected a model that phdnet-tf exported, with phdnet" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_damaged_weights_do_not_keep_from_a_model_of_ones_own(site, tmp_path):
    install(site, described(tmp_path, "broken", '{"view": "4ch"}'))
    described(tmp_path / "models", "phdnet_sa")

    [found] = options.find_models(None, tmp_path / "models", "sa")

    assert found == tmp_path / "models" / "phdnet_sa"
    with pytest.raises(ValueError, match="Received no landmarks"):
        options.find_models(None, tmp_path / "models", "4ch")


def printing(block, **options):
    """A process whose command does a line of Python where errors become one line."""
    program = (
        "import click\n"
        "from phdnet_tf.cli import main, options, outputs\n"
        "@main.command()\n"
        "def own():\n"
        f"    with options.plain_errors(): {block}\n"
        "main(['own'])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, **options
    )


ECHO, JSON = "click.echo('landmarks')", "outputs.show([], [], 'json')"


@pytest.mark.parametrize("block", [ECHO, JSON])
def test_a_reader_that_needs_no_more_is_no_error(block):
    done = printing(block, stdout=subprocess.PIPE)
    done.stdout.close()

    assert (done.communicate()[1], done.returncode) == ("", 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("block", [ECHO, JSON])
def test_a_full_standard_output_is_told_apart_from_a_full_disk(block, unbuffered):
    with open("/dev/full", "wb") as full:
        done = printing(
            block, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}
        )
        told = done.communicate()[1]
    disk = printing("open('/dev/full', 'w').write('landmarks' * 9999)")

    assert (told, done.returncode) == (
        "Error: standard output cannot be written: No space left on device. Redirect "
        "it elsewhere, or free some disk space.\n",
        1,
    )
    assert disk.communicate()[1] == "Error: [Errno 28] No space left on device\n"
