"""Why a definition is refused: a code for programs, a sentence for people, and what stands in it. Pure.

A sentence is English; who wants another language translates `sentence` and puts `values` into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


def gettext_noop(sentence: str) -> str:
    """Mark a sentence for translators; this room is pure and translates nothing itself."""
    return sentence


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of fault, or one with its values."""

    code: str
    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def of(self, **values: Any) -> "Reason":
        return replace(self, values=values)

    def __str__(self) -> str:
        return self.sentence % self.values


def reason_in(error: Exception) -> Reason:
    """The reason that an exception was raised with; what it says where it was raised with none."""
    told = error.args[0] if error.args else ""
    return told if isinstance(told, Reason) else OTHER.of(why=str(error))


OTHER = Reason("OTHER", "%(why)s")  # in the words of who found it

# the definition as a whole
TOO_LARGE = Reason("TOO_LARGE", gettext_noop("The definition is larger than 1 MiB."))
NOT_JSON = Reason("NOT_JSON", gettext_noop("The definition is not JSON: %(why)s."))
NOT_AN_OBJECT = Reason("NOT_AN_OBJECT", gettext_noop("The definition must be a JSON object."))

# fields
REPEATED = Reason("REPEATED_FIELD", gettext_noop("The field '%(name)s' is there more than once"))
REQUIRED = Reason("REQUIRED_FIELD", gettext_noop("The field '%(name)s' is required"))
REQUIRED_STRING = Reason("REQUIRED_FIELD", gettext_noop("The field '%(name)s' is required and must be a string"))
UNKNOWN = Reason("UNKNOWN_FIELD", gettext_noop("The field '%(name)s' is not supported"))
STRING_FIELD = Reason("WRONG_TYPE", gettext_noop("The field '%(name)s' must be a string"))
BOOLEAN_FIELD = Reason("WRONG_TYPE", gettext_noop("The field '%(name)s' must be true or false"))
OBJECT_FIELD = Reason("WRONG_TYPE", gettext_noop("The field '%(name)s' must be an object"))
LIST_FIELD = Reason("WRONG_TYPE", gettext_noop("The field '%(name)s' must be a list"))
ONE_OF = Reason("WRONG_VALUE", gettext_noop("%(name)s must be one of %(choices)s"))
ONLY_ONE = Reason("TOO_MANY_FIELDS", gettext_noop("Only one of %(names)s may be there"))

# values
WRONG_TYPE = Reason("WRONG_TYPE", gettext_noop("The value has the wrong type"))
STRING = Reason("WRONG_TYPE", gettext_noop("The value must be a string"))
BOOLEAN = Reason("WRONG_TYPE", gettext_noop("The value must be true or false"))
NUMBER = Reason("WRONG_TYPE", gettext_noop("The value must be a number"))
OBJECT = Reason("WRONG_TYPE", gettext_noop("The value must be an object"))
WHOLE_BETWEEN = Reason("WRONG_NUMBER", gettext_noop("The value must be a whole number between %(least)d and %(most)d"))
WHOLE_AT_LEAST = Reason("WRONG_NUMBER", gettext_noop("The value must be a whole number of at least %(least)d"))
NUMBER_BETWEEN = Reason("WRONG_NUMBER", gettext_noop("The value must be a number between %(least)d and %(most)d"))
NUMBER_AT_LEAST = Reason("WRONG_NUMBER", gettext_noop("The value must be a number of at least %(least)d"))
GREATER = Reason("WRONG_NUMBER", gettext_noop("%(name)s must be greater than %(other)s"))
SMALLER = Reason("WRONG_NUMBER", gettext_noop("%(name)s must be smaller than %(other)s"))
TIMESTAMP = Reason("WRONG_TIMESTAMP", gettext_noop("String does not match RFC3339 timestamp"))

# states and where they lead
FLOW = Reason("WRONG_TYPE", gettext_noop("A branch must be an object with StartAt and States"))
NO_STATES = Reason("REQUIRED_FIELD", gettext_noop("The field 'States' is required and must name at least one state"))
STATE = Reason("WRONG_TYPE", gettext_noop("A state must be an object"))
NAME_LENGTH = Reason("WRONG_NAME", gettext_noop("A state's name must have between 1 and %(most)d characters"))
NAME_TAKEN = Reason("WRONG_NAME", gettext_noop("The state's name is used already at %(path)s"))
LANGUAGES_MIXED = Reason(
    "WRONG_LANGUAGE",
    gettext_noop("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"),
)
NEXT_AND_END = Reason("TOO_MANY_FIELDS", gettext_noop("A state has either 'Next' or 'End'"))
NEXT_OR_END = Reason("REQUIRED_FIELD", gettext_noop("A state needs 'Next', or 'End' with true"))
MISSING_START = Reason("MISSING_TARGET", gettext_noop("Missing 'StartAt' target: %(target)s"))
MISSING_NEXT = Reason("MISSING_TARGET", gettext_noop("Missing 'Next' target: %(target)s"))
NO_END = Reason("NO_END", gettext_noop("No state ends this flow: one must be Succeed, Fail, or say End"))
UNREACHED = Reason("UNREACHED", gettext_noop("Nothing leads to this state"))

# kinds of states
WAIT_NEEDS = Reason(
    "REQUIRED_FIELD", gettext_noop("A Wait state needs Seconds, Timestamp, SecondsPath or TimestampPath")
)
NO_BRANCHES = Reason(
    "REQUIRED_FIELD", gettext_noop("The field 'Branches' is required and must have at least one branch")
)
NO_RULES = Reason("REQUIRED_FIELD", gettext_noop("The field 'Choices' is required and must have at least one rule"))
ROLE_MISSING = Reason("REQUIRED_FIELD", gettext_noop("The field 'RoleArn' is required but was missing"))
RULE = Reason("WRONG_TYPE", gettext_noop("A choice rule must be an object"))
CONDITION = Reason("REQUIRED_FIELD", gettext_noop("The field 'Condition' is required and must be a JSONata expression"))
ONE_COMPARISON = Reason(
    "WRONG_RULE", gettext_noop("A choice rule needs exactly one comparison, or one of And, Or, Not")
)
VARIABLE_COMPARED = Reason("WRONG_RULE", gettext_noop("A choice rule needs a Variable and exactly one comparison."))
VARIABLE_PATH = Reason("WRONG_RULE", gettext_noop("A choice rule's Variable must be a path."))
RULES = Reason("WRONG_TYPE", gettext_noop("The value must be a list of choice rules"))
DISTRIBUTED_ONLY = Reason("DISTRIBUTED_ONLY", gettext_noop("The field '%(name)s' is for maps in DISTRIBUTED mode"))
LABEL = Reason(
    "WRONG_NAME",
    gettext_noop(
        'A label has 1 to 40 characters, and none of whitespace, ? * < > { } [ ] : ; , \\ | ^ ~ $ # %% & ` " /'
    ),
)
ITEMS = Reason("WRONG_TYPE", gettext_noop("The field 'Items' must be a list or a JSONata expression"))

# resources
UNRECOGNISED = Reason(
    "WRONG_RESOURCE",
    gettext_noop(
        "The resource provided %(resource)s is not recognized. The value is not a valid resource ARN, or the resource "
        "is not available in this region."
    ),
)
NOT_IN_EXPRESS = Reason(
    "WRONG_RESOURCE", gettext_noop("Express state machine does not support '%(how)s' service integration")
)

# Retry and Catch
ENTRY = Reason("WRONG_TYPE", gettext_noop("The entry must be an object"))
NO_ERRORS = Reason(
    "REQUIRED_FIELD", gettext_noop("The field 'ErrorEquals' is required and must be a list of errors' names")
)
ALL_ALONE = Reason("WRONG_VALUE", gettext_noop("States.ALL must stand alone, in the last entry"))

# paths, intrinsics, expressions
RESULT_PATH = Reason("WRONG_PATH", gettext_noop("ResultPath cannot lead into the context object"))
REFERENCE = Reason(
    "WRONG_PATH",
    gettext_noop("The value must be a reference path: one place, without wildcards, filters or slices"),
)
PATH = Reason("WRONG_PATH", gettext_noop("Invalid path '%(path)s': it cannot be read at character %(at)d."))
PATH_OR_INTRINSIC = Reason(
    "WRONG_PATH",
    gettext_noop("The value for the field '%(name)s' must be a valid JSONPath or a valid intrinsic call."),
)
VARIABLE_NAME = Reason("WRONG_NAME", gettext_noop("'%(name)s' is no name that a variable can have"))
SHADOWS = Reason(
    "SHADOWING",
    gettext_noop("'%(name)s' is assigned around this flow too: a variable assigned inside has another name"),
)
INTRINSIC = Reason("WRONG_INTRINSIC", gettext_noop("'%(text)s' calls no intrinsic function that there is."))
INTRINSIC_ARGUMENTS = Reason(
    "WRONG_INTRINSIC", gettext_noop("Invalid number of arguments for States.%(function)s in '%(text)s'.")
)
INTRINSIC_SHAPE = Reason("WRONG_INTRINSIC", gettext_noop("'%(text)s' cannot be read at character %(at)d."))
BRACES = Reason("WRONG_EXPRESSION", gettext_noop("A JSONata expression begins with {%% and ends with %%}"))
JSONATA = Reason("WRONG_EXPRESSION", gettext_noop("The JSONata expression '%(source)s' cannot be read: %(why)s"))
