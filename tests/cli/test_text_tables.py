from pathlib import Path
from types import SimpleNamespace

from support.tracks import circle, predictions

from phdnet_tf.cli.text_tables import track_rows
from phdnet_tf.inference.tracks import find_tracks


def test_a_cine_is_shown_in_a_line_whatever_its_file_is_called():
    done = SimpleNamespace(
        tracks=find_tracks(predictions(circle()), range(1, 26), 25),
        predictions=predictions(circle()),
        job=SimpleNamespace(
            number=3,
            frames=[SimpleNamespace(file=SimpleNamespace(name=Path("a\n\x1bb\udcfc")))],
        ),
    )

    ((name, *_),) = track_rows(done)

    assert name == "3 (a??b?)"
