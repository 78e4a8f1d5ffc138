"""Pairs of output models with readers whose ways a schema does not show: aliases, conversions, hooks, odd unions."""

from __future__ import annotations

import re
import textwrap

__all__ = ["pairs"]

# A title, the old model, the new one. What has no class is the fields of ``Output``.
TEXT = r"""
== text that takes numbers
class Output(BaseModel, coerce_numbers_to_str=True):
    a: str
--
class Output(BaseModel, coerce_numbers_to_str=True):
    a: int

== an enum of fractions and whole numbers
class K(enum.Enum):
    A = 1.5
    B = 2.5
class Output(BaseModel):
    a: K
--
a: int

== an enum of fractions and listed whole numbers
class K(enum.Enum):
    A = 1.5
    B = 2.5
class Output(BaseModel):
    a: K
--
a: Literal[1, 2]

== an enum of both and whole numbers
class K(enum.Enum):
    A = 1
    B = 2.5
class Output(BaseModel):
    a: K
--
a: int

== a path that looks into a new field
x: int = Field(1, validation_alias=pydantic.AliasPath('a', 0))
--
x: int = Field(1, validation_alias=pydantic.AliasPath('a', 0))
a: list[str]

== a path before a name
a: int = Field(validation_alias=pydantic.AliasChoices(pydantic.AliasPath('b', 0), 'a'))
--
a: int
b: list[str]

== a path into an object
class P(BaseModel):
    q: str
class Output(BaseModel):
    x: int = Field(1, validation_alias=pydantic.AliasPath('p', 'r'))
    p: P
--
class P(BaseModel):
    q: str
    r: str
class Output(BaseModel):
    p: P

== a pattern with a class that Python has not
a: Annotated[str, Field(pattern='^[[:alpha:]]+$')]
--
a: Literal['a]', 'b]']

== a pattern with an intersection
a: Annotated[str, Field(pattern='^[a-z&&[^aeiou]]+$')]
--
a: Literal['a]']

== a pattern with a start of a word
a: Annotated[str, Field(pattern=r'^\<abc$')]
--
a: Literal['<abc']

== a pattern with spaces in a repetition
a: Annotated[str, Field(pattern='^a{ 2 }$')]
--
a: Literal['a{ 2 }']

== a pattern that only Python reads in full
a: Annotated[str, Field(pattern='^a++a$')]
--
a: Literal['aa']

== a pattern with letters beyond ASCII
a: Annotated[str, Field(pattern='(?i)^İ$')]
--
a: Literal['i']

== a pattern that Python's engine reads
class Output(BaseModel, regex_engine='python-re'):
    a: Annotated[str, Field(pattern='^(?!b)[a-z]+$')]
--
class Output(BaseModel, regex_engine='python-re'):
    a: str

== a pattern with flags
a: Annotated[str, Field(pattern=re.compile('^abc$', re.IGNORECASE))]
--
a: Literal['ABC']

== a strict alias of a type
X = TypeAliasType('X', int)
class Output(BaseModel, strict=True):
    a: X
    b: X
--
X = TypeAliasType('X', bool)
class Output(BaseModel):
    a: X
    b: X

== a strict alias of a list
X = TypeAliasType('X', list[int])
class Output(BaseModel, strict=True):
    a: X
    b: X
--
X = TypeAliasType('X', list[bool])
class Output(BaseModel):
    a: X
    b: X

== an alias inside of itself, strict there only
class M(BaseModel, strict=True):
    a: X
X = TypeAliasType('X', 'int | list[M]')
class Output(BaseModel):
    a: X
--
class M(BaseModel):
    a: X
X = TypeAliasType('X', 'bool | list[M]')
class Output(BaseModel):
    a: X

== an alias of text that takes numbers
X = TypeAliasType('X', str)
class Output(BaseModel, coerce_numbers_to_str=True):
    a: X
    b: X
--
X = TypeAliasType('X', int)
class Output(BaseModel):
    a: X
    b: X

== a name with a dot
class A(BaseModel):
    b: int
    z: int
class Output(BaseModel):
    a: A
    x: int = Field(1, alias='a.b')
--
class A(BaseModel):
    z: int
class Output(BaseModel):
    a: A
    x: int = Field(1, alias='a.b')

== a name that is the root's
class A(BaseModel):
    x: int
    z: int
class Output(BaseModel):
    x: int = 1
    a: A = Field(alias='$')
--
class A(BaseModel):
    z: int
class Output(BaseModel):
    x: int = 1
    a: A = Field(alias='$')

== an empty name
class A(BaseModel):
    b: int
    z: int
class Output(BaseModel):
    a: A = Field(alias='')
    b: int = 1
--
class A(BaseModel):
    z: int
class Output(BaseModel):
    a: A = Field(alias='')
    b: int = 1

== a name with brackets
class A(BaseModel, extra='forbid'):
    z: int
class Output(BaseModel):
    a: list[A]
    x: Optional[list[int]] = Field(None, alias='a[]')
--
class A(BaseModel):
    z: int
    y: int
class Output(BaseModel):
    a: list[A]
    x: Optional[list[int]] = Field(None, alias='a[]')

== two models of one title
class A(BaseModel):
    model_config = dict(extra='forbid', json_schema_extra={'title': 'X'})
    x: Optional['A']
class Output(BaseModel):
    model_config = dict(json_schema_extra={'title': 'X'})
    x: Optional[A]
--
class A(BaseModel):
    model_config = dict(json_schema_extra={'title': 'X'})
    x: Optional['A']
    y: int
class Output(BaseModel):
    model_config = dict(json_schema_extra={'title': 'X'})
    x: Optional[A]
    y: int

== two models of one title, with a default in the outer one
class A(BaseModel):
    model_config = dict(json_schema_extra={'title': 'X'})
    x: Optional['A']
    y: int
class Output(BaseModel):
    model_config = dict(json_schema_extra={'title': 'X'})
    x: Optional[A] = None
    y: int
--
class A(BaseModel):
    y: int
class Output(BaseModel):
    x: Optional[A]
    y: int

== two models of one made title
class A(BaseModel):
    model_config = dict(extra='forbid', model_title_generator=lambda cls: 'X')
    x: Optional['A']
class Output(BaseModel):
    model_config = dict(model_title_generator=lambda cls: 'X')
    x: Optional[A]
--
class A(BaseModel):
    model_config = dict(model_title_generator=lambda cls: 'X')
    x: Optional['A']
    y: int
class Output(BaseModel):
    model_config = dict(model_title_generator=lambda cls: 'X')
    x: Optional[A]
    y: int

== a field that has the title of the model around it
class A(BaseModel, extra='forbid'):
    x: Optional['A']
class Output(BaseModel):
    x: Optional[Annotated[A, Field(title='Output')]]
--
class A(BaseModel):
    x: Optional['A']
    y: int
class Output(BaseModel):
    x: Optional[Annotated[A, Field(title='Output')]]
    y: int

== two dictionaries of one name
class N:
    class A(TypedDict):
        __pydantic_config__ = dict(extra='forbid')
        x: 'Optional[N.A]'
class A(TypedDict):
    x: Optional[N.A]
class Output(BaseModel):
    a: A
--
class N:
    class A(TypedDict):
        x: 'Optional[N.A]'
        y: int
class A(TypedDict):
    x: Optional[N.A]
    y: int
class Output(BaseModel):
    a: A

== two dataclasses of one name
class N:
    @dataclasses.dataclass
    class Output:
        __pydantic_config__ = dict(extra='forbid')
        x: Optional[N.Output]
@dataclasses.dataclass
class Output:
    x: Optional[N.Output]
--
class N:
    class Output(TypedDict):
        x: 'Optional[N.Output]'
        y: int
class Output(BaseModel):
    x: Optional[N.Output]
    y: int

== int that reads digits
a: int
--
a: Literal['1', '2']

== int that reads some texts
a: int
--
a: Literal['1', 'x']

== int that reads text
a: int
--
a: str

== strict int and digits
class Output(BaseModel, strict=True):
    a: int
--
class Output(BaseModel, strict=True):
    a: Literal['1', '2']

== bool that reads words
a: bool
--
a: Literal['yes', 'no', 'on']

== bool that reads 0 and 1
a: bool
--
a: Literal[0, 1]

== bool that reads bounded int
a: bool
--
a: Annotated[int, Field(ge=0, le=1)]

== int that reads bool
a: int
--
a: bool

== float that reads bool
a: float
--
a: bool

== strict int and bool
class Output(BaseModel, strict=True):
    a: int
--
class Output(BaseModel, strict=True):
    a: bool

== int that reads whole floats
a: int
--
a: Annotated[float, Field(multiple_of=1)]

== strict int and whole floats
class Output(BaseModel, strict=True):
    a: int
--
class Output(BaseModel, strict=True):
    a: Annotated[float, Field(multiple_of=1)]

== strict float and int
class Output(BaseModel, strict=True):
    a: float
--
class Output(BaseModel, strict=True):
    a: int

== float reads huge int
a: float
--
a: int

== int out of a whole bounded float
a: Annotated[int, Field(ge=0, le=1)]
--
a: bool

== int of one step
a: Annotated[int, Field(multiple_of=2)]
--
a: bool

== datetime that reads dates
a: datetime
--
a: date

== datetime that reads seconds
a: datetime
--
a: int

== date that reads a day at midnight
a: date
--
a: Literal['2020-01-02T00:00:00']

== date that reads a time of day
a: date
--
a: datetime

== timedelta that reads seconds
a: timedelta
--
a: int

== time that reads seconds
a: time
--
a: Annotated[int, Field(ge=0, le=100)]

== uuid of a known text
a: UUID
--
a: Literal['00000000-0000-4000-8000-000000000000']

== uuid of another version
a: pydantic.UUID4
--
a: pydantic.UUID1

== uuid of any version
a: UUID
--
a: pydantic.UUID1

== uuid of one version from any
a: pydantic.UUID4
--
a: UUID

== ip of a version
a: IPv4Address
--
a: IPv6Address

== decimal that reads floats
a: Decimal
--
a: float

== float that reads decimals
a: float
--
a: Decimal

== int that reads decimals
a: int
--
a: Decimal

== decimal with places
a: Annotated[Decimal, Field(max_digits=3)]
--
a: Annotated[Decimal, Field(max_digits=5)]

== decimal bounds
a: Annotated[Decimal, Field(ge=0)]
--
a: Annotated[Decimal, Field(ge=-5)]

== decimal to text
a: Decimal
--
a: str

== date with a bound no schema tells
a: Annotated[date, Field(ge=date(2020, 1, 1))]
--
a: date

== date with another bound
a: Annotated[date, Field(ge=date(2020, 1, 1))]
b: int
--
a: Annotated[date, Field(ge=date(2000, 1, 1))]
b: Annotated[int, Field(ge=0)]

== past date
a: pydantic.PastDate
b: float
--
a: date
b: int

== finite float
a: pydantic.FiniteFloat
--
a: float | None

== choice as a second alias
a: int = Field(validation_alias=pydantic.AliasChoices('a', 'b'))
--
b: int

== choice as a second alias of another type
a: int = Field(validation_alias=pydantic.AliasChoices('a', 'b'))
--
b: str

== second alias added
a: int = Field(validation_alias=pydantic.AliasChoices('a', 'b'))
--
a: int
b: str

== second alias added, closed
class Output(BaseModel, extra='forbid'):
    a: int = Field(validation_alias=pydantic.AliasChoices('a', 'b'))
--
class Output(BaseModel, extra='forbid'):
    a: int
    b: str

== by name as well
class Output(BaseModel, populate_by_name=True):
    a: int = Field(alias='x')
--
a: int

== by name as well, added
class Output(BaseModel, populate_by_name=True):
    a: int = Field(alias='x')
--
x: int
a: str

== alias with a default
a: int = Field(1, alias='x')
--
a: str

== default by name, wrong type comes
class Output(BaseModel, populate_by_name=True):
    a: int = 1
--
b: str

== defaulted field hidden from the schema
a: int
b: pydantic.json_schema.SkipJsonSchema[int] = 1
--
a: int
b: str

== field not initialised
a: int
b: int = Field(1, init=False)
--
a: int
b: str = 'x'

== hidden null
a: int | pydantic.json_schema.SkipJsonSchema[None]
--
a: int | None

== a schema of its own
a: Annotated[int, pydantic.WithJsonSchema({'type': 'string'})]
--
a: Annotated[int, pydantic.WithJsonSchema({'type': 'string', 'minLength': 1})]

== extra of a schema
a: str = Field(json_schema_extra={'pattern': '^a$'})
--
a: str

== enum that takes what it misses
class Kind(enum.Enum):
    A = 'a'
    @classmethod
    def _missing_(cls, value):
        return cls.A
class Output(BaseModel):
    k: Kind
--
class Kind(enum.Enum):
    A = 'a'
    B = 'b'
class Output(BaseModel):
    k: Kind

== int enum from floats
class Kind(enum.IntEnum):
    A = 1
    B = 2
class Output(BaseModel):
    k: Kind
--
k: Annotated[float, Field(ge=1, le=2, multiple_of=1)]

== int enum from int
class Kind(enum.IntEnum):
    A = 1
    B = 2
class Output(BaseModel):
    k: Kind
--
k: Annotated[int, Field(ge=1, le=2)]

== literals and true
a: Literal[1]
--
a: Literal[True]

== true and literal
a: Literal[True]
--
a: Literal[1]

== literal and whole float
a: Literal[1, 2]
--
a: Annotated[float, Field(ge=1, le=2, multiple_of=1)]

== enum from digits
class Kind(enum.IntEnum):
    A = 1
    B = 2
class Output(BaseModel):
    k: Kind
--
k: Literal['1', '2']

== bool and int in a union
a: bool | str
--
a: int | str

== strings in a strict union
class Output(BaseModel, strict=True):
    a: int | None
--
class Output(BaseModel, strict=True):
    a: Literal['1'] | None

== list of one more kind
a: list[int]
--
a: list[int | str]

== tuple for a list
a: tuple[int, ...]
--
a: list[int]

== before validator mends
a: Annotated[int, BeforeValidator(len)]
--
a: Annotated[int, BeforeValidator(len), Field(ge=0)]

== plain validator
a: Annotated[int, pydantic.PlainValidator(picky, json_schema_input_type=int)]
b: int
--
a: Annotated[float, pydantic.PlainValidator(picky, json_schema_input_type=float)]
b: int

== wrap validator on a model
a: int
@model_validator(mode='wrap')
@classmethod
def check(cls, value, handler):
    picky(value)
    return handler(value)
--
a: int
b: int

== inherited validator
class Base(BaseModel):
    @field_validator('*', mode='before')
    @classmethod
    def check(cls, value):
        return picky(value)
class Output(Base):
    a: Literal['x']
--
a: Literal['x', 'y']

== validator of every field
a: float
@field_validator('*')
@classmethod
def check(cls, value):
    return picky(value)
--
a: bool

== init of its own
a: int
def __init__(self, **data):
    known({'a'}).__func__(None, data)
    if set(data) - {'a'}: raise ValueError('no more')
    super().__init__(**data)
--
a: int
b: int

== post init of a dataclass
@dataclasses.dataclass
class Output:
    a: float
    def __post_init__(self):
        picky(self.a)
--
a: int

== a type of its own
class Odd(str):
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        from pydantic_core import core_schema
        return core_schema.no_info_after_validator_function(picky, core_schema.str_schema())
class Output(BaseModel):
    a: Odd
--
a: Annotated[str, Field(min_length=1)]

== stripped text
class Output(BaseModel, str_strip_whitespace=True):
    a: Annotated[str, Field(min_length=2)]
--
class Output(BaseModel, str_strip_whitespace=True):
    a: Annotated[str, Field(min_length=3)]

== stripped text of a length
class Output(BaseModel, str_strip_whitespace=True):
    a: Annotated[str, Field(max_length=3)]
--
a: Literal['  abc', 'abc  ']

== lower-cased text of a pattern
a: Annotated[str, pydantic.StringConstraints(to_lower=True, pattern='^[a-z]+$')]
--
a: Literal['Abc']

== a longest text that no schema tells
class Output(BaseModel, str_max_length=3):
    a: str
--
a: Annotated[str, Field(max_length=5)]

== default that is checked
a: str
--
a: str
b: Annotated[int, Field(ge=5)] = Field(1, validate_default=True)

== default from other data
a: str
--
a: str
b: str = Field(default_factory=lambda data: data['a'])

== default of a branch only
class A(BaseModel):
    k: Literal['a']
    x: int = 1
class B(BaseModel):
    k: Literal['b']
    x: int
class Output(BaseModel):
    u: A | B
--
class A(BaseModel):
    k: Literal['a']
class B(BaseModel):
    k: Literal['b']
class Output(BaseModel):
    u: A | B

== extras of a branch only
class A(BaseModel, extra='forbid'):
    k: Literal['a']
class B(BaseModel):
    k: Literal['b']
class Output(BaseModel):
    u: A | B
--
class A(BaseModel, extra='forbid'):
    k: Literal['a']
class B(BaseModel):
    k: Literal['b']
    x: int
class Output(BaseModel):
    u: A | B

== a branch falls to another
class A(BaseModel):
    x: int
class B(BaseModel):
    y: int = 1
class Output(BaseModel):
    u: A | B
--
class A(BaseModel):
    x: str
class B(BaseModel):
    y: int = 1
class Output(BaseModel):
    u: A | B

== a closed branch and an open one
class A(BaseModel, extra='forbid'):
    x: int
class B(BaseModel):
    x: int
class Output(BaseModel):
    u: A | B
--
class A(BaseModel, extra='forbid'):
    x: int
    z: int
class B(BaseModel):
    x: int
class Output(BaseModel):
    u: A | B

== tag that is an enum
class K(enum.Enum):
    A = 'a'
    B = 'b'
class A(BaseModel):
    k: Literal[K.A]
class B(BaseModel):
    k: Literal[K.B]
class Output(BaseModel):
    u: Union[A, B] = Field(discriminator='k')
--
class A(BaseModel):
    k: Literal['a']
class Output(BaseModel):
    u: A

== discriminated and the branches agree otherwise
class A(BaseModel):
    k: Literal['a']
    x: int
class B(BaseModel):
    k: Literal['b']
    x: str
class Output(BaseModel):
    u: Union[A, B] = Field(discriminator='k')
--
class A(BaseModel):
    k: Literal['a', 'b']
    x: int
class Output(BaseModel):
    u: A

== callable discriminator
def which(value):
    return 'a' if isinstance(value, dict) and value.get('x') == 1 else 'b'
class A(BaseModel):
    x: int
class B(BaseModel):
    x: str
class Output(BaseModel):
    u: Annotated[Union[Annotated[A, pydantic.Tag('a')], Annotated[B, pydantic.Tag('b')]], pydantic.Discriminator(which)]
--
class A(BaseModel):
    x: int
    y: int
class B(BaseModel):
    x: str
    y: int
class Output(BaseModel):
    u: A | B

== left to right
a: Annotated[Union[int, str], Field(union_mode='left_to_right')]
--
a: str

== nested lists
a: list[list[int]]
--
a: list[list[int | None]]

== mutual recursion
class A(BaseModel):
    b: Optional['B']
class B(BaseModel):
    a: Optional[A]
    n: int
class Output(BaseModel):
    a: A
--
class A(BaseModel):
    b: Optional['B']
class B(BaseModel):
    a: Optional[A]
    n: float
class Output(BaseModel):
    a: A

== recursion unrolled
n: int
next: Optional['Output']
--
class Inner(BaseModel):
    n: int
    next: None
class Output(BaseModel):
    n: int
    next: Optional[Inner]

== recursion rolled up
class Inner(BaseModel):
    n: int
    next: None
class Output(BaseModel):
    n: int
    next: Optional[Inner]
--
n: int
next: Optional['Output']

== recursion without a way out
class A(BaseModel):
    a: 'A'
    n: int
class Output(BaseModel):
    u: A | str
--
class A(BaseModel):
    a: 'A'
    n: float
class Output(BaseModel):
    u: A | str

== no answer is finite
d: list[Output]
--
e: Output

== strict in one branch of two that look alike
f: Union[bool, Annotated[date, Field(strict=True)], Annotated[bool, Field(strict=True)]]
--
f: Union[Literal['true'], Annotated[date, Field(strict=True)], Annotated[bool, Field(strict=True)]]

== extras of a branch beside one that contains itself
class A(BaseModel, extra='forbid'):
    kind: Literal['a']
class B(BaseModel):
    kind: Literal['b']
    u: list[B]
class Output(BaseModel):
    u: Union[A, B] = Field(discriminator='kind')
--
class A(BaseModel, extra='forbid'):
    kind: Literal['a']
class B(BaseModel):
    kind: Literal['b']
    u: list[C]
class C(BaseModel):
    kind: Literal['b']
    u: list[B]
    more: str
class Output(BaseModel):
    u: Union[A, B] = Field(discriminator='kind')

== what cannot be said
a: Annotated[int, Field(ge=0, le=1)]
--
a: Annotated[int, Field(ge=5, le=4)] | Annotated[int, Field(ge=0, le=1)]

== a list that is always empty
a: Annotated[list[int], Field(max_length=0)]
--
a: Annotated[list[str], Field(max_length=0)]

== bounds that meet in whole numbers
a: Annotated[int, Field(gt=0)]
--
a: Annotated[int, Field(ge=1)]

== bounds of floats that do not
a: Annotated[float, Field(ge=1)]
--
a: Annotated[float, Field(gt=0)]

== steps that contain others
a: Annotated[int, Field(multiple_of=2)]
--
a: Annotated[int, Field(multiple_of=6)]

== steps and bounds
a: Annotated[int, Field(ge=0, le=4)]
--
a: Annotated[int, Field(ge=0, lt=6, multiple_of=4)]

== two patterns, one within the other
a: Annotated[str, Field(pattern='^[a-z]+$')]
--
a: Annotated[str, Field(pattern='^[a-z0-9]+$')]

== two patterns, side by side
a: Annotated[str, Field(pattern='^a+$')]
--
a: Annotated[str, Field(pattern='^b+$')]

== pattern and choices
a: Annotated[str, Field(pattern='^[a-z]+$')]
--
a: Literal['abc', 'x']

== pattern and a choice that it lacks
a: Annotated[str, Field(pattern='^[a-z]+$')]
--
a: Literal['abc', 'X']

== pattern and a line break
a: Annotated[str, Field(pattern='^[a-z]+$')]
--
a: Literal['abc\n', 'x']

== length and choices
a: Annotated[str, Field(max_length=3)]
--
a: Literal['abc', 'x']

== format and choices
a: date
--
a: Literal['2020-01-02', '2020-02-31']

== length counts letters
a: Annotated[str, Field(max_length=1)]
--
a: Literal['🙂', 'é']

== format with a length
a: Annotated[str, Field(max_length=10)]
--
a: date

== date to datetime through text
a: str
--
a: datetime | date

== description of a reference
class A(BaseModel):
    x: int
class Output(BaseModel):
    a: A
    b: A
--
class A(BaseModel):
    x: int
class Output(BaseModel):
    a: A = Field(description='One.')
    b: A

== model becomes a dataclass
class A(BaseModel):
    x: int
class Output(BaseModel):
    a: A
--
@dataclasses.dataclass
class A:
    x: int
class Output(BaseModel):
    a: A

== typed dict with what may be absent
class A(TypedDict):
    x: NotRequired[int]
class Output(BaseModel):
    a: A
--
class A(TypedDict):
    y: int
class Output(BaseModel):
    a: A

== field names with dots
a: int = Field(alias='x.y')
b: int = Field(alias='z[]')
--
a: str = Field(alias='x.y')
b: int = Field(alias='z[]')

== everything changes
a: int
b: str
c: list[int]
--
x: bool

== a generic model
T = TypeVar('T')
class Box(BaseModel, Generic[T]):
    v: T
class Output(BaseModel):
    b: Box[int]
--
T = TypeVar('T')
class Box(BaseModel, Generic[T]):
    v: T
class Output(BaseModel):
    b: Box[str]
"""


def pairs() -> dict[str, tuple[str, str]]:
    """The sources of the old model and the new one, to be put after the header of ``schema_models``."""
    found = re.findall(r"^== (.+)\n((?:(?!==).*\n)+?)--\n((?:(?!==).*\n)+)", TEXT, re.M)
    return {title: (_module(old), _module(new)) for title, old, new in found}


def _module(text: str) -> str:
    return text if re.search(r"^class ", text, re.M) else f"class Output(BaseModel):\n{textwrap.indent(text, '    ')}"
