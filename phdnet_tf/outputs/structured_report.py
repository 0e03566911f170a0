"""Writes predictions as a DICOM Structured Report for a PACS (PS3.16, TID 1500).

There is one report for a cine or a still. Every landmark of every frame is a point in
the image (SCOORD). If the file has its position, the same point in the patient
(SCOORD3D) has the same tracking identifier. This module imports highdicom, which takes
a second. It is therefore imported only when a report is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom import sr
from highdicom.sr import CodedConcept
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from phdnet_tf import __version__
from phdnet_tf.dicom.errors import quiet
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.trust.radii import RADIUS_NAMES

UNIQUE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
"""Attributes that identify the image of a report."""

OWNER = ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID")
"""Attributes that all images of a report share."""

SUPERIOR = CodedConcept("264217000", "SCT", "Superior")
INFERIOR = CodedConcept("261089000", "SCT", "Inferior")
LATERAL = CodedConcept("49370004", "SCT", "Lateral")

# Where each landmark lies, and which part of it, in SNOMED CT. A user's own landmarks
# are at the heart; their name is in the tracking identifier.
FINDING_SITES = {
    "superior_rv_insertion": (codes.SCT.InterventricularSeptum, SUPERIOR),
    "inferior_rv_insertion": (codes.SCT.InterventricularSeptum, INFERIOR),
    "inferior_rv_lateral_reflection": (codes.SCT.RightVentricle, LATERAL),
    "tricuspid_valve": (codes.SCT.TricuspidValve, None),
    "mitral_valve": (codes.SCT.MitralValve, None),
    "lv_apex": (codes.SCT.ApexOfLeftVentricle, None),
}
ELSEWHERE = (codes.SCT.Heart, None)

ANATOMICAL_POINT = CodedConcept("711101009", "SCT", "Anatomical point")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
HIGH, LOW = (
    CodedConcept(*code)
    for code in (("75540009", "SCT", "High"), ("62482003", "SCT", "Low"))
)
# The peak of the smoothed map has no unit and no code of its own.
CONFIDENCE = CodedConcept("confidence", "99PHDNET", "Landmark confidence")
RADII = {
    name: CodedConcept(
        f"error-radius-{name}",
        "99PHDNET",
        f"Radius that holds the landmark with {name} % probability",
    )
    for name in RADIUS_NAMES
}
RECOGNITION = CodedConcept("recognition", "99PHDNET", "Image shows the model's view")
RECOGNISED = CodedConcept("recognised", "99PHDNET", "Recognised")


@dataclass(frozen=True)
class Reported:
    """A prediction and its image.

    Attributes:
        prediction: The prediction.
        identity: Result of `DicomFile.identity` for the file.
        frame: Number of the frame in a multi-frame file, or None.
    """

    prediction: Prediction
    identity: dict[str, str]
    frame: int | None


@dataclass(frozen=True)
class Verification:
    """The person who verifies a report.

    Attributes:
        name: Name of the person, as DICOM writes it: "Family^Given".
        organization: Organization of the person.
        previous: The report that this one replaces, or None.
    """

    name: str
    organization: str
    previous: Path | None = None


def save_report(
    path: Path,
    reported: Sequence[Reported],
    complete: bool = True,
    verification: Verification | None = None,
) -> None:
    """Writes the landmarks of a cine, or of a still, as a report on its images.

    The report belongs to the images' study and patient, whose attributes it repeats as
    the standard requires. It says who has verified it, or that nobody has.

    Args:
        path: File to write, in a folder that exists.
        reported: One for each frame. All must belong to one study.
        complete: Whether these are all frames that were to be predicted.
        verification: The person who has verified it, or None.

    Raises:
        ValueError: If the previous report is not valid, or belongs to another study; if
            an image has no valid UIDs, or those of another, or the images belong to
            several patients or studies.
        OSError: If the file cannot be written.
    """
    for each in reported:
        for keyword in UNIQUE:
            if not _is_uid(each.identity[keyword]):
                raise ValueError(
                    f"{each.prediction.image}: has no valid {keyword}, so no report "
                    "can refer to it. Use --format json."
                )
    if len({tuple(map(each.identity.get, OWNER)) for each in reported}) > 1:
        raise ValueError(
            f"{reported[0].prediction.image}: belongs to another patient or study than "
            "the other phases, so no report can hold them all. Predict them again."
        )
    images = {(each.identity["SOPInstanceUID"], each.frame) for each in reported}
    if len(images) < len(reported):
        raise ValueError(
            f"{reported[0].prediction.image}: shares its SOPInstanceUID with another "
            "phase, or others do, so a report cannot say which of them a point is in. "
            "Give each file its own, or use --format json."
        )
    previous = _previous(verification, reported)
    with quiet():
        try:
            report = _report(reported, complete, verification, previous)
            report.save_as(path, enforce_file_format=True)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # The reason would quote the value, which may name a person.
            raise ValueError(
                f"{reported[0].prediction.image}: its kind (SOP class), patient or "
                "study attributes do not follow the standard, so no report can repeat "
                "them. Correct them in the file, or use --format json."
            ) from error


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and bool(re.fullmatch(uid.RE_VALID_UID, text))


def _previous(
    verification: Verification | None, reported: Sequence[Reported]
) -> list[Dataset]:
    """The report that is replaced."""
    if verification is None or verification.previous is None:
        return []
    path = verification.previous
    try:
        with quiet():
            found = sr.srread(path)
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: expected a report that phdnet-tf wrote. Received something else."
        ) from error
    if found.StudyInstanceUID != reported[0].identity["StudyInstanceUID"]:
        raise ValueError(
            f"{path}: is a report on another study, so this report cannot replace it. "
            "Choose the folder of the reports on these images."
        )
    return [found]


def _report(
    reported: Sequence[Reported],
    complete: bool,
    verification: Verification | None,
    previous: Sequence[Dataset],
) -> sr.Comprehensive3DSR:
    images = {each.identity["SOPInstanceUID"]: each.identity for each in reported}
    evidence = [_referenced(identity) for identity in images.values()]
    model = reported[0].prediction.model
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                    uid=uid.generate_uid(
                        entropy_srcs=["phdnet-tf", __version__, model]
                    ),
                    name="phdnet-tf",
                    model_name=model,
                ),
            )
        ),
        procedure_reported=codes.SCT.MagneticResonanceImagingOfHeart,
        imaging_measurements=_groups(reported),
        title=codes.DCM.ImagingMeasurementReport,
    )
    verified = verification is not None
    return sr.Comprehensive3DSR(
        evidence=evidence,
        content=content,
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="phdnet-tf",
        # At most 64 characters. The observer and each algorithm have the whole name.
        manufacturer_model_name=model[:64],
        software_versions=__version__,
        series_description=_series_description(reported, verified),
        is_complete=complete,
        is_verified=verified,
        verifying_observer_name=verification.name if verification else None,
        verifying_organization=verification.organization if verification else None,
        previous_versions=previous or None,
        # A name may be in any script.
        specific_character_set="ISO_IR 192",
    )


def _series_description(reported: Sequence[Reported], verified: bool) -> str:
    """The report's name in a viewer's list: at most 64 characters."""
    strange = sum(not each.prediction.recognised for each in reported)
    if not strange:
        return "Landmarks, verified" if verified else "Landmarks, not verified"
    view = reported[0].prediction.view[:16]
    return f"NOT RECOGNISED as {view}: {strange} of {len(reported)} frames. Landmarks"


def _not_recognised(prediction: Prediction) -> CodedConcept:
    return CodedConcept(
        "not-recognised", "99PHDNET", f"NOT RECOGNISED as {prediction.view[:32]}"
    )


def _referenced(identity: dict[str, str]) -> Dataset:
    """The attributes of an image that a report repeats: patient, study and image."""
    ds = Dataset()
    for keyword, value in identity.items():
        if value or keyword != "FrameOfReferenceUID":
            setattr(ds, keyword, value)
    return ds


def _groups(
    reported: Sequence[Reported],
) -> list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    # A landmark keeps its tracking identifier through all phases, and in both spaces.
    names = {
        landmark.name: None
        for each in reported
        for landmark in each.prediction.landmarks
    }
    trackers = {
        name: sr.TrackingIdentifier(uid=hd.UID(), identifier=name) for name in names
    }
    groups = []
    for each in reported:
        for landmark in each.prediction.landmarks:
            for region in _regions(landmark, each):
                groups.append(
                    _group(landmark, region, trackers[landmark.name], each.prediction)
                )
    return groups


def _regions(
    landmark: Landmark, each: Reported
) -> list[sr.ImageRegion | sr.ImageRegion3D]:
    source = sr.SourceImageForRegion(
        each.identity["SOPClassUID"],
        each.identity["SOPInstanceUID"],
        None if each.frame is None else [each.frame],
    )
    # In a report the top-left corner of the top-left pixel is (0, 0), here its centre.
    in_image = np.array([[landmark.x + 0.5, landmark.y + 0.5]])
    regions: list[sr.ImageRegion | sr.ImageRegion3D] = [
        sr.ImageRegion(sr.GraphicTypeValues.POINT, in_image, source)
    ]
    place = each.identity["FrameOfReferenceUID"]
    if landmark.position_lps is not None and _is_uid(place):
        regions.append(
            sr.ImageRegion3D(
                sr.GraphicTypeValues3D.POINT, np.array([landmark.position_lps]), place
            )
        )
    return regions


def _group(
    landmark: Landmark,
    region: sr.ImageRegion | sr.ImageRegion3D,
    tracker: sr.TrackingIdentifier,
    prediction: Prediction,
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    site, modifier = FINDING_SITES.get(landmark.name, ELSEWHERE)
    # Of a point that a human has placed the model knows nothing.
    by_model = bool(landmark.error_radius_mm)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracker,
        referenced_region=region,
        finding_type=ANATOMICAL_POINT,
        algorithm_id=sr.AlgorithmIdentification(
            name="phdnet-tf",
            version=__version__,
            family=codes.DCM.ArtificialIntelligence,
            parameters=[f"model {prediction.model}"],
        )
        if by_model
        else None,
        finding_sites=[sr.FindingSite(site, topographical_modifier=modifier)],
        measurements=[
            sr.Measurement(
                name=CONFIDENCE, value=landmark.confidence, unit=codes.UCUM.NoUnits
            ),
            *(
                sr.Measurement(
                    name=RADII[name], value=radius, unit=codes.UCUM.Millimeter
                )
                for name, radius in landmark.error_radius_mm.items()
            ),
        ]
        if by_model
        else None,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                name=CERTAINTY, value=HIGH if landmark.high_confidence else LOW
            ),
            sr.QualitativeEvaluation(
                name=RECOGNITION,
                value=RECOGNISED
                if prediction.recognised
                else _not_recognised(prediction),
            ),
        ]
        if by_model
        else None,
    )
