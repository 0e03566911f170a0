"""The files in deploy/tf_serving, read as TF Serving reads them, and run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
)
from google.protobuf import wrappers_pb2 as wrappers
from support.drawn import exported
from tensorflow_serving.config import model_server_config_pb2

from phdnet_tf.export import checksums, input_checks

DEPLOY = Path(__file__).parents[1] / "deploy" / "tf_serving"


def message(name: str):
    """A message type of TF Serving that its Python package leaves out."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto",
        package=f"copied.{name}",
        syntax="proto3",
        dependency=[wrappers.DESCRIPTOR.name],
    )
    types = {
        "Monitoring": file.message_type.add(name="MonitoringConfig"),
        "Prometheus": file.message_type.add(name="PrometheusConfig"),
        "Batching": file.message_type.add(name="BatchingParameters"),
    }
    field = descriptor_pb2.FieldDescriptorProto
    wide = {"type": field.TYPE_MESSAGE, "type_name": ".google.protobuf.Int64Value"}
    for owner, key, number, kind in (
        # tensorflow_serving/config/monitoring_config.proto
        ("Prometheus", "enable", 1, {"type": field.TYPE_BOOL}),
        ("Prometheus", "path", 2, {"type": field.TYPE_STRING}),
        (
            *("Monitoring", "prometheus_config", 1),
            {
                "type": field.TYPE_MESSAGE,
                "type_name": f".copied.{name}.PrometheusConfig",
            },
        ),
        # tensorflow_serving/servables/tensorflow/session_bundle_config.proto
        ("Batching", "max_batch_size", 1, wide),
        ("Batching", "batch_timeout_micros", 2, wide),
        ("Batching", "max_enqueued_batches", 3, wide),
        ("Batching", "num_batch_threads", 4, wide),
        ("Batching", "pad_variable_length_inputs", 7, {"type": field.TYPE_BOOL}),
    ):
        types[owner].field.add(
            name=key, number=number, label=field.LABEL_OPTIONAL, **kind
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"copied.{name}.{name}")
    )()


def parse(file: str, into):
    return text_format.Parse((DEPLOY / file).read_text(), into)


def test_the_model_config_serves_both_views_with_labels_for_named_versions():
    config = parse("models.config", model_server_config_pb2.ModelServerConfig())

    models = {model.name: model for model in config.model_config_list.config}
    assert set(models) == {"phdnet_sa", "phdnet_4ch"}
    for name, model in models.items():
        assert model.base_path == f"/models/{name}"
        assert model.model_platform == "tensorflow"
        assert dict(model.version_labels) == {"stable": 1, "canary": 2}
        versions = model.model_version_policy.specific.versions
        assert set(model.version_labels.values()) <= set(versions)


def test_the_batching_config_takes_what_the_model_takes():
    config = parse("batching.config", message("BatchingParameters"))

    # TF Serving refuses a request that is larger, which without batching it would not.
    assert config.max_batch_size.value == input_checks.MAX_BATCH
    assert not config.pad_variable_length_inputs


@pytest.mark.slow
def test_the_monitoring_config_has_the_path_of_the_local_server(server):
    import requests

    config = parse("monitoring.config", message("MonitoringConfig"))

    assert config.prometheus_config.enable
    url = server.rest + config.prometheus_config.path
    assert "phdnet_requests_total" in requests.get(url, timeout=30).text


def test_the_compose_file_names_files_that_are_there_and_stays_on_this_machine():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][
        "phdnet"
    ]

    assert re.fullmatch(r"tensorflow/serving:\$\{\w+:-[\d.]+\}", service["image"])
    named = re.findall(
        r"/config/([\w.]+)", str([service["command"], service["healthcheck"]])
    )
    assert len(named) == 3 and all((DEPLOY / name).is_file() for name in named)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    # What Docker refuses to start with on a smaller machine has to be a choice.
    assert limits["cpus"] == "${PHDNET_CPUS:-2}"


def health(server, *models):
    port = server.rest.rsplit(":", 1)[1]
    return subprocess.run(
        ["bash", DEPLOY / "healthcheck.sh", *models],
        env={**os.environ, "PORT": port},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.slow
def test_the_health_check_tells_whether_models_are_in_service(server):
    assert health(server, "phdnet_sa").returncode == 0
    both = health(server, "phdnet_sa", "phdnet_4ch")
    assert both.returncode == 1 and "phdnet_4ch" in both.stdout


def publish(version, models):
    return subprocess.run(
        [DEPLOY / "publish.sh", version, models], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("models"))


@pytest.mark.slow
def test_publishing_copies_the_whole_version_once(version, tmp_path):
    done = publish(version, tmp_path / "to")

    target = tmp_path / "to" / "phdnet_sa" / "1"
    assert done.returncode == 0, done.stderr
    checksums.require_complete(target)
    assert [entry.name for entry in target.parent.iterdir()] == ["1"]
    again = publish(version, tmp_path / "to")
    assert again.returncode == 1 and "exists" in again.stderr


@pytest.mark.slow
def test_publishing_refuses_what_is_no_version_or_whose_list_was_cut_off(
    version, tmp_path
):
    cut = tmp_path / "from" / "phdnet_sa" / "1"
    shutil.copytree(version, cut)
    sums = cut / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:-1]))

    done = publish(cut, tmp_path / "to")
    none = publish(cut.parent, tmp_path / "none")

    assert done.returncode == 1 and "damaged" in done.stderr
    assert not list((tmp_path / "to" / "phdnet_sa").iterdir())
    assert none.returncode == 1 and "no version" in none.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_publishing_refuses_a_damaged_version(version, tmp_path):
    damaged = tmp_path / "from" / "phdnet_sa" / "1"
    shutil.copytree(version, damaged)
    next(damaged.glob("variables/*.data*")).write_bytes(b"half")

    done = publish(damaged, tmp_path / "to")

    assert done.returncode == 1 and "damaged" in done.stderr
    assert not list((tmp_path / "to" / "phdnet_sa").iterdir())
