"""Which columns of a table name people, so that rows with one value are of one person or one family."""

import re
from collections.abc import Collection

FEWEST_PEOPLE = 6
"""Different values of a column that names people and repeats; with fewer, each of many scans, it tells groups."""
_MANY_SCANS = 8
_PEOPLE = (
    "subjects?|subj|sub|participants?|patient(?:en|s)?|pat|persons?|individuals?|volunteers?|proband(?:en)?s?|donors?|"
    "clients?|animals?|mouse|medicalrecord|famil(?:y|ies)|households?|pedigree|twins?|pairs?|siblings?|sibship|mother|"
    "father|parents?"
)
_IDENTIFIER = "ids?|keys?|codes?|numbers?|no|nr|num|names?|labels?|identifiers?|index|uid|guid|hash"
_WHICH = "src|rel|anon|anonymi[sz]ed|pseudo|pseudonymi[sz]ed|deidentified|study|global|unique|research|bids|dicom"
_NAME = re.compile(
    rf"(?:id)?(?:{_WHICH})*(?:{_PEOPLE})+(?:{_IDENTIFIER})*"
    rf"|(?:case|record|anon|anonymi[sz]ed|pseudo|pseudonym)(?:{_IDENTIFIER})+"
    "|ptid|pid|rid|eid|bid|mrn|empi(?:anon)?|guid|usubjid|oasisid"
)


def names_people(column: str) -> bool:
    """Whether a column's name is that of an identifier of people: words for people and for identifiers, and no other.

    What it says of people beside that, such as an age or a type, makes it a column about them.

    >>> [names_people(name) for name in ("Patient ID", "rel_family_id", "subjectkey", "Patient Age", "subject_type")]
    [True, True, True, False, False]
    """
    return _NAME.fullmatch(re.sub(r"[^a-z]", "", column.lower())) is not None


def tells_groups(values: Collection[str], scans: int) -> bool:
    """Whether a column that has a name of people tells groups of them, as `twin` does with yes and no: few values,
    each of many of its `scans`.
    """
    return len(values) < FEWEST_PEOPLE and scans > _MANY_SCANS * len(values)
