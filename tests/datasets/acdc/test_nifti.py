import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.eulerangles import euler2mat
from support.acdc import DRAWN, POINTS, STRAIGHT, masks, save, stack, write_subject

from phdnet_tf.datasets.acdc.importer import import_folder, read_subject
from phdnet_tf.dicom.read import read_image


def oblique(spacing=(1.4, 1.7, 9.0)):
    """An affine turned about all axes, with a handedness that is not DICOM's."""
    turned = euler2mat(0.3, -0.4, 0.5) @ np.diag([-1, -1, 1])
    affine = np.eye(4)
    affine[:3, :3] = turned * spacing
    affine[:3, 3] = (12.5, -80.25, 33)
    return affine


@pytest.mark.parametrize(
    "affine", [STRAIGHT, oblique(), oblique() @ np.diag([1, 1, -1, 1])]
)
def test_pixels_lie_in_the_patient_where_nibabel_says(tmp_path, affine):
    source, dest = tmp_path / "acdc", tmp_path / "out"
    write_subject(source, affine=affine)

    import_folder(source, dest)

    # Mid-ventricular of 6 slices, 0 to 100 %, are 1, 2 and 3.
    for k in (1, 2, 3):
        image = read_image(dest / f"DICOM/patient001/ED_slice{k:02d}.dcm")
        np.testing.assert_array_equal(image.pixels, stack(seed=[0, 0])[:, :, k].T)
        assert image.position and image.orientation
        along_x, along_y = np.reshape(image.orientation, (2, 3))
        spacing_y, spacing_x = image.pixel_spacing
        for x, y in ((0, 0), (39, 0), (0, 31), (17, 23)):
            # PS3.3 C.7.6.2.1.1, and RAS to LPS.
            lps = image.position + along_x * spacing_x * x + along_y * spacing_y * y
            ras = apply_affine(affine, (x, y, k))
            np.testing.assert_allclose(lps, ras * (-1, -1, 1), atol=1e-4)


def test_points_and_pixels_have_the_same_orientation(tmp_path):
    # The mask itself as image: what a point should touch can be read off the pixels.
    folder = write_subject(tmp_path / "acdc")
    save(folder / "patient001_frame01.nii.gz", masks().astype(np.int16))

    _, slices, _ = read_subject(folder)

    np.testing.assert_array_equal(slices[0].pixels, DRAWN)
    np.testing.assert_allclose(slices[0].landmarks, POINTS, atol=5e-3)


def test_superior_is_nearer_to_the_head_in_a_stack_stored_upside_down(tmp_path):
    folder = write_subject(tmp_path / "acdc")
    # Rows from the feet up: the same anatomy, so the points are mirrored, not swapped.
    flip = np.diag([1.0, -1, 1, 1])
    for name, voxels in (("01", stack()), ("01_gt", masks())):
        path = folder / f"patient001_frame{name}.nii.gz"
        save(path, voxels[:, ::-1], affine=STRAIGHT @ flip)

    _, slices, _ = read_subject(folder)

    expected = [[x, 31 - y] for x, y in POINTS]
    np.testing.assert_allclose(slices[0].landmarks, expected, atol=5e-3)


def test_unit_columns_hold_directions_and_the_header_the_spacing(tmp_path):
    # As ACDC's own files.
    affine = np.diag([-1.0, -1, 1, 1])
    folder = write_subject(
        tmp_path / "acdc", affine=affine, zooms=(1.67969, 1.5625, 10.0)
    )

    _, slices, _ = read_subject(folder)

    assert slices[0].pixel_spacing == (1.5625, 1.67969)  # rows first, decimals meant
    assert slices[0].orientation == (1, 0, 0, 0, 1, 0)
    assert [s.position for s in slices[:3]] == [(0, 0, 10), (0, 0, 20), (0, 0, 30)]


def sheared():
    affine = STRAIGHT.copy()
    affine[:3, 1] = (0.9, -1.2, 0)  # of length 1.5, and 53 degrees from the x axis
    return affine


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"code": 0}, "has no position in the patient"),
        ({"zooms": (1.5, 1.2, 8)}, r"agree. Received: 1.5 x 1.5 x 8 mm and 1.5 x 1.2"),
        ({"affine": sheared()}, r"right angles. Received: .* 126.9 degrees"),
        (
            {"affine": np.diag([-0.0015, -0.0015, 0.008, 1])},
            "expected a pixel spacing of 0.02 to 20 mm",
        ),
    ],
)
def test_a_stack_without_true_geometry_is_refused(tmp_path, kwargs, reason):
    folder = write_subject(tmp_path / "acdc", **kwargs)

    with pytest.raises(ValueError, match=rf"^patient001_frame01.nii.gz: .*{reason}"):
        read_subject(folder)


def flip(axis):
    """A mask stored backwards along an axis, and an affine that says so."""

    def change(mask, affine):
        turn = np.eye(4)
        turn[axis, axis] = -1
        turn[axis, 3] = mask.shape[axis] - 1
        return np.flip(mask, axis), affine @ turn

    return change


def transpose(mask, affine):
    return mask.transpose(1, 0, 2), affine[:, [1, 0, 2, 3]]


def both(mask, affine):
    return flip(2)(*transpose(mask, affine))


def rounded(mask, affine):
    return mask, affine + 1e-4


@pytest.mark.parametrize("affine", [STRAIGHT, oblique()])
@pytest.mark.parametrize(
    "change", [flip(0), flip(1), flip(2), transpose, both, rounded]
)
def test_a_mask_stored_in_another_order_lies_on_its_images(tmp_path, change, affine):
    plain = write_subject(tmp_path / "plain", affine=affine)
    other = write_subject(tmp_path / "other", affine=affine)
    mask = masks()
    mask[:, 24, :3] = 0  # no slice is as it is upside down
    for folder, (voxels, own) in (
        (plain, (mask, affine)),
        (other, change(mask, affine)),
    ):
        save(folder / "patient001_frame01_gt.nii.gz", voxels, affine=own)

    _, expected, _ = read_subject(plain)
    _, found, _ = read_subject(other)

    assert len(found) == len(expected) == 6
    for one, two in zip(found, expected, strict=True):
        assert (one.phase, one.index) == (two.phase, two.index)
        np.testing.assert_allclose(one.landmarks, two.landmarks)


@pytest.mark.parametrize(
    ("affine", "distance"),
    [
        (STRAIGHT @ np.diag([-1, 1, 1, 1]), "58.5"),  # 39 pixels of 1.5 mm
        (np.diag([-1.5, -1.5, 8, 1]) + np.eye(4, k=3) * 12, "12"),
        (np.diag([-1.4, -1.5, 8, 1]), "3.9"),  # 39 pixels of 0.1 mm less
        (np.diag([-1.5, -1.5, 10, 1]), "10"),  # 5 slices of 2 mm more
    ],
)
def test_a_mask_that_lies_elsewhere_is_refused_with_the_distance(
    tmp_path, affine, distance
):
    folder = write_subject(tmp_path / "acdc")
    save(folder / "patient001_frame12_gt.nii.gz", masks(), affine=affine)

    told = rf"frame12_gt.nii.gz: .* corner by {distance} mm.* Resample the mask"
    with pytest.raises(ValueError, match=told):
        read_subject(folder)
