import pytest

from contrasweep.trainers.data.people import names_people, tells_groups

IDS = ["Patient ID", "PatientID", "patient_id", "Subject", "subjectkey", "src_subject_id", "rel_family_id", "Family_ID"]
IDS += ["Mother_ID", "PTID", "RID", "eid", "twin pair", "participant.number", "HOUSEHOLD", "anonymized_patient_id"]
IDS += [
    "ID_Patient",
    "USUBJID",
    "SUB_ID",
    "Medical Record Number",
    "record_id",
    "case_id",
    "Anon ID",
    "Patienten-ID",
    "BID",
]

OTHERS = ["Patient Age", "Patient Gender", "subject_type", "age", "site", "scanner_id", "Image Index", "session_id"]
OTHERS += ["family_history", "id", "study_id", "idh", "path", "pidgin", "number_of_siblings_total", ""]
OTHERS += ["case", "record", "subscale", "num_subjects_total", "anonymized"]


@pytest.mark.parametrize("column", IDS)
def test_identifiers_of_people(column: str) -> None:
    assert names_people(column)


@pytest.mark.parametrize("column", OTHERS)
def test_what_is_said_of_people_is_no_identifier(column: str) -> None:
    assert not names_people(column)


def test_few_values_of_many_scans_each_tell_groups() -> None:
    assert tells_groups({"yes", "no"}, scans=40)
    assert not tells_groups({"P1", "P2"}, scans=8)
    assert not tells_groups({f"P{number}" for number in range(20)}, scans=400)
