"""Imports point one way, and only where they should."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A line may import from the lines above it, and a package from itself. `datasets` and
# `cli` lie beside the library, and are installed below it.
LAYERS = [
    {"config", "devices", "geometry", "files"},
    {"presets", "startup"},
    {"dicom", "trust", "workers"},
    {"phantom", "models", "decoding", "evaluation"},
    {"datasets", "export"},
    {"training"},
    {"inference", "server"},
    {"outputs", "client", "comparison", "batch"},
    {"review"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FOLDERS = {"datasets": ROOT / "datasets", "cli": ROOT / "cli"}


def modules() -> list[Path]:
    folders = [ROOT / "phdnet_tf", *FOLDERS.values()]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def package(file: Path) -> str:
    """The first name below `phdnet_tf`, for example "dicom"."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] in FOLDERS else parts[1]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT).with_suffix(""))


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(node.module)
    return found


def libraries(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_imports_point_down(file):
    own = package(file)
    if own == "__init__":
        assert not imports(file)
        return
    for name in imports(file):
        imported = name.removeprefix("phdnet_tf.").split(".")[0]
        if not name.startswith("phdnet_tf.") or imported in {own, "__version__"}:
            continue
        assert RANK[imported] < RANK[own], f"{name_of(file)} imports {name}"


def test_every_package_has_its_layer():
    assert {package(file) for file in modules()} == {*RANK, "__init__"}


@pytest.mark.parametrize(
    "file", [f for f in modules() if f.name == "__init__.py"], ids=name_of
)
def test_a_package_says_what_it_is_and_loads_nothing(file):
    # What is imported is named where it is: `phdnet_tf.dicom.read`. The command line
    # and TFDS, which finds a builder by its package, are entered through theirs.
    if package(file) != "cli" and file.parent.name != "aspire_cmr":
        assert ast.get_docstring(ast.parse(file.read_text()))
        assert not imports(file)


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # A report is made of pydicom's data sets, and reads no file.
        ("pydicom", {"dicom", "outputs"}),
        ("highdicom", {"outputs"}),
        ("nibabel", {"datasets"}),
        ("contourpy", {"datasets"}),
        ("matplotlib", {"outputs", "evaluation"}),
        ("requests", {"client"}),
        ("starlette", {"server", "review"}),
        ("uvicorn", {"server", "review"}),
        ("jinja2", {"review"}),
        ("sqlite3", {"batch", "review"}),
        ("prometheus_client", {"server"}),
        ("simdjson", {"server"}),
        ("grpc_health", {"server"}),
        ("tensorflow_datasets", {"datasets"}),
        ("distributed", {"workers"}),
        ("pyarrow", {"batch"}),
    ],
)
def test_a_library_is_imported_where_it_belongs(library, allowed):
    users = {package(file) for file in modules() if library in libraries(file)}

    assert users == allowed


LIGHT = {"dicom", "phantom", "config", "presets", "files", "trust"}
# What tells which models there are, before any is loaded.
LIGHT_MODULES = {
    f"phdnet_tf/export/{name}" for name in ("description", "versions", "weights")
}


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in modules()
        if package(file) in LIGHT
        or file.parent == ROOT / "datasets" / "folder"
        or name_of(file) in LIGHT_MODULES
    ],
    ids=name_of,
)
def test_tensorflow_is_not_needed_for(file):
    assert not libraries(file) & {"tensorflow", "keras"}


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in modules()
        if package(file) in {"geometry", "models", "decoding"}
        or name_of(file) in {"phdnet_tf/training/labels", "phdnet_tf/training/losses"}
    ],
    ids=name_of,
)
def test_the_numerics_touch_no_file(file):
    assert not libraries(file) & {"pathlib", "os", "io", "shutil", "json", "csv"}


def test_commands_import_the_heavy_libraries_only_inside_their_bodies():
    heavy = {"tensorflow", "keras", "numpy", "tensorflow_datasets", "matplotlib"}
    heavy |= {"grpc", "requests", "starlette", "uvicorn", "prometheus_client"}
    heavy |= {"highdicom", "pydicom", "PIL", "distributed", "pyarrow"}
    for file in (ROOT / "cli").glob("*.py"):
        tree = ast.parse(file.read_text())
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                text = ast.unparse(node)
                assert not any(f" {name}" in text for name in heavy), text


def test_the_folder_can_be_taken_in_at_a_glance():
    top = [p for p in (ROOT / "phdnet_tf").iterdir() if p.name != "__pycache__"]
    lines = {name_of(f): len(f.read_text().splitlines()) for f in modules()}
    bodies = sorted(n for name, n in lines.items() if not name.endswith("__init__"))

    assert sum(path.is_file() for path in top) <= 8
    assert sum(path.is_dir() for path in top) <= 16
    assert max(lines.values()) <= 350, max(lines, key=lines.get)
    assert bodies[len(bodies) // 2] <= 150
