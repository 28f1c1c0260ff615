"""The settings that every method has: its name, the lexical unit, and the published mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from melder.methods.total import TotalOptions
from melder.ops.picture_scores import Pooling
from melder.units.lexical import Lexical

__all__ = ["PRODUCTS", "MethodOptions", "TokenMethodOptions", "lexical_unit", "total_options"]

PRODUCTS = "of tokens, when pairs are scored: bf16, where the processor has it, is faster; auto measures whether it is"


class MethodOptions(BaseModel):
    """A method's configuration adds its own settings to these, and narrows `name` to its own.

    Attributes:
        published: Reproduce the published code where it differs from what its paper describes; the method's module says
            where. Masks and missing pictures are ignored then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    lexical: bool = Field(True, description="add names compared as strings to the total")
    lexical_weight: PositiveFloat = Field(10.0, description="where the learned weight starts")
    lexical_floor: NonNegativeFloat = Field(0.0, description="what the learned weight stays above")
    lexical_part: float = Field(0.85, ge=0, lt=1, description="what whole words of a name count; 0 = only all of it")
    lexical_exact: float = Field(0.0, ge=0, description="what the surface counts more where it is all of a name")
    lexical_fold: bool = Field(
        True, description="compare names without regard to Unicode forms, quotes, hyphens; diacritics count little"
    )
    pictures: PositiveInt = Field(4, description="of an entity or a mention that are compared; 1 = the first alone")
    picture_pooling: Pooling = Field(
        "log_mean_exp", description="how the scores of pairs of pictures become one: log_mean_exp, max or mean"
    )
    unit_weights: Literal["equal", "fitted", "gated"] = Field(
        "equal",
        description="of units in the total; fitted = on the selection set; gated = and by what is known of a mention",
    )
    published: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_picture_as_published(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value.get("published"):
            return value
        if value.get("pictures", 1) != 1:
            raise ValueError("published code compares one picture: set pictures to 1, or leave it out")
        return {**value, "pictures": 1}

    @model_validator(mode="before")
    @classmethod
    def _exact_names_as_gated(cls, value: Any) -> Any:
        """A gate holds exact names above noise, which takes that they count more than others."""
        if not isinstance(value, dict) or value.get("unit_weights") != "gated" or value.get("lexical") is False:
            return value
        return {"lexical_exact": 1.0, **value}

    @model_validator(mode="after")
    def _names_beyond_noise(self) -> MethodOptions:
        if self.unit_weights == "gated" and self.lexical and not self.lexical_exact:
            raise ValueError("unit_weights: gated holds exact names above noise: set lexical_exact above 0")
        return self

    @model_validator(mode="after")
    def _starts_above_the_floor(self) -> MethodOptions:
        if self.lexical_floor >= self.lexical_weight:
            raise ValueError(f"lexical_floor must be below lexical_weight, which is {self.lexical_weight:g}: lower it")
        return self

    @model_validator(mode="after")
    def _equal_as_published(self) -> MethodOptions:
        if self.published and self.unit_weights != "equal":
            raise ValueError("published: true takes the mean of the units: leave unit_weights out")
        return self


class TokenMethodOptions(MethodOptions):
    """Of methods that compare tokens behind heads of their own, beside which the encoder's pictures may be compared."""

    whiten: bool = Field(
        False, description="add units: whitened cosines of the pictures' vectors and patches; of a frozen encoder"
    )

    @model_validator(mode="after")
    def _published_as_it_is(self) -> TokenMethodOptions:
        if self.published and self.whiten:
            raise ValueError("published: true has no whitened units: leave whiten out")
        return self


def lexical_unit(options: MethodOptions) -> Lexical | None:
    """The unit that is added to the mean of the others, or None for the published total.

    Args:
        options: Of the method.

    Returns:
        The unit, whose weight is still to be learned and whose frequencies are still to be counted.
    """
    if not options.lexical:
        return None
    return Lexical(
        initial_weight=options.lexical_weight,
        part=options.lexical_part,
        fold=options.lexical_fold,
        exact=options.lexical_exact,
        floor=options.lexical_floor,
    )


def total_options(
    options: MethodOptions, training_units: Sequence[str] = (), evaluation_units: Sequence[str] = ()
) -> TotalOptions:
    """What a `UnitMatcher` is told of several pictures, and of how much its units count.

    Args:
        options: Of the method.
        training_units, evaluation_units: The units in use in either mode; none = all.

    Returns:
        What `UnitMatcher` takes as `total`.
    """
    return TotalOptions(
        training_units,
        evaluation_units,
        pictures=options.pictures,
        picture_pooling=options.picture_pooling,
        weighted=options.unit_weights != "equal",
        gated=options.unit_weights == "gated",
    )
