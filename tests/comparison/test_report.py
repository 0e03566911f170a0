from phdnet_tf.comparison.report import markdown
from phdnet_tf.comparison.tables import compare
from phdnet_tf.evaluation import metrics


def test_the_report_can_be_read(points, monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 50)
    cost = {
        "system": "phdnet",
        "fold": 0,
        "parameters": 64649,
        "training_seconds": 600,
        "steps": [2000],
        "ended_by": ["time limit"],
        "model_bytes": 600_000,
        "latency_ms": 41.2,
    }
    report = {
        **compare(points),
        "title": "Benchmark: drawn",
        "protocol": ["Four images."],
        "costs": [cost],
        "command": "phdnet-tf benchmark --view sa",
        "versions": {"keras": "3.1"},
        "machine": "two cores",
    }

    text = markdown(report)

    assert "| gaussian | smoothing | 8 | 4.00 ± 2.50" in text
    assert "high confidence (75%)" in text
    assert "| PHD-Net | 0 | 64,649 | 10.0 | 2000 |" in text
    assert "phdnet-tf benchmark --view sa" in text
