"""Imports point one way, and only where they should."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Higher layers may import lower ones, never the reverse.
LAYERS = [
    {"config"},
    {"geometry", "metrics", "confidence", "dicom", "view", "folders"},
    {"labels", "heatmaps", "phantom", "worker", "decoder"},
    {"losses", "model", "hourglass", "unet", "smoothing", "pipeline"},
    {"reading"},
    {"augmentation"},
    {"serving", "training", "series"},
    {"evaluation", "inference"},
    {"tracks", "client", "server"},
    {"batch", "report", "plots", "run"},
    {"formats", "benchmark"},
    {"comparison"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(node.module)
    return found


def modules() -> list[Path]:
    return sorted((ROOT / "phdnet_tf").glob("*.py"))


def rank(name: str) -> int:
    # What a module is split into has its place: phantom_tissue is phantom's.
    return RANK[name if name in RANK else name.split("_")[0]]


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.stem)
def test_library_imports_point_down(file):
    if file.stem == "__init__":
        assert not imports(file)
        return
    for name in imports(file):
        if not name.startswith("phdnet_tf."):
            continue
        imported = name.split(".")[1]
        assert imported not in {"cli", "datasets"}, f"{file.stem} imports {name}"
        if (ROOT / "phdnet_tf" / f"{imported}.py").exists():
            same_family = imported.split("_")[0] == file.stem.split("_")[0]
            assert rank(imported) < rank(file.stem) or same_family, name


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # A report is made of pydicom's data sets, and reads no file.
        ("pydicom", {"dicom", "dicom_frames", "dicom_guards", "report"}),
        ("highdicom", {"report"}),
        ("nibabel", {"acdc"}),
        ("matplotlib", {"plots", "plots_cine"}),
        ("requests", {"client_rest"}),
        ("starlette", {"server_rest"}),
        ("uvicorn", {"server"}),
        ("prometheus_client", {"server_metrics"}),
    ],
)
def test_a_library_has_one_module_that_imports_it(library, allowed):
    files = [
        *modules(),
        *(ROOT / "datasets").rglob("*.py"),
        *(ROOT / "cli").glob("*.py"),
    ]
    users = {
        file.stem
        for file in files
        if any(name.split(".")[0] == library for name in imports(file))
    }

    assert users == allowed


@pytest.mark.parametrize(
    "name",
    ["dicom", "dicom_frames", "dicom_guards", "worker", "decoder", "series", "view"]
    + ["config", "metrics", "confidence", "phantom", "folders"],
)
def test_tensorflow_is_not_needed_for(name):
    libraries = {n.split(".")[0] for n in imports(ROOT / "phdnet_tf" / f"{name}.py")}

    assert not libraries & {"tensorflow", "keras"}


@pytest.mark.parametrize("name", ["geometry", "labels", "losses", "model", "smoothing"])
def test_the_numerics_touch_no_file(name):
    libraries = {n.split(".")[0] for n in imports(ROOT / "phdnet_tf" / f"{name}.py")}

    assert not libraries & {"pathlib", "os", "io", "shutil", "json", "csv"}


def test_commands_import_the_heavy_libraries_only_inside_their_bodies():
    heavy = {"tensorflow", "keras", "numpy", "tensorflow_datasets", "matplotlib"}
    heavy |= {"grpc", "requests", "starlette", "uvicorn", "prometheus_client"}
    heavy |= {"highdicom", "pydicom", "PIL"}
    for file in (ROOT / "cli").glob("*.py"):
        tree = ast.parse(file.read_text())
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                text = ast.unparse(node)
                assert not any(f" {name}" in text for name in heavy), text
