"""Which columns of a table name people, so that rows with one value are of one person or one family."""

import re

_PEOPLE = (
    "subjects?|subj|participants?|patients?|pat|persons?|individuals?|volunteers?|donors?|animals?|"
    "famil(?:y|ies)|households?|pedigree|twins?|pairs?|siblings?|sibship|mother|father|parents?"
)
_IDENTIFIER = "ids?|keys?|codes?|numbers?|no|nr|num|names?|labels?|identifiers?|index|uid|guid|hash"
_WHICH = "src|rel|anon|anonymi[sz]ed|pseudonymi[sz]ed|deidentified|study|global|unique|research|bids"
_NAME = re.compile(rf"(?:{_WHICH})*(?:(?:{_PEOPLE})+(?:{_IDENTIFIER})*|ptid|pid|rid|eid|mrn|empi)")


def names_people(column: str) -> bool:
    """Whether a column's name is that of an identifier of people: words for people and for identifiers, and no other.

    What it says of people beside that, such as an age or a type, makes it a column about them.

    >>> [names_people(name) for name in ("Patient ID", "rel_family_id", "subjectkey", "Patient Age", "subject_type")]
    [True, True, True, False, False]
    """
    return _NAME.fullmatch(re.sub(r"[^a-z]", "", column.lower())) is not None
