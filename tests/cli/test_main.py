"""What every command has: help at once, and one line for a slip."""

import subprocess
import sys
import time

import pytest
from support.command import run


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
        (["phantom", "here"], 2, "Missing option '--view'"),
    ],
)
def test_a_users_mistake_is_one_clear_line(
    arguments, code, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("")

    result = run(*arguments, code=code)

    assert message in result.output and "Traceback" not in result.output
