"""Money as whole minor units: exact to add, exact to compare."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

# ISO 4217 currencies whose minor unit is not a hundredth.
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
# 18 digits of amount times 18 of rate fit without rounding; half up on a magnitude is half away from zero.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_POWERS = [Decimal(10**exponent) for exponent in range(5)]


class Minor(NamedTuple):
    """An amount in minor units, and whether it had more decimals than the currency and was rounded."""

    units: int
    rounded: bool


def exponent_of(currency: str) -> int:
    """Return how many decimals the currency has: 2 for EUR, 0 for JPY."""
    return _EXPONENTS.get(currency, 2)


def minor_units(amount: Decimal, currency: str) -> Minor:
    """Return the amount in minor units of its currency, rounded half away from zero."""
    scaled = _EXACT.multiply(amount, _POWERS[exponent_of(currency)])
    units = int(scaled)
    if units == scaled:
        return Minor(units, False)
    return Minor(int(scaled.to_integral_value(ROUND_HALF_UP, _EXACT)), True)


def converted(amount: Decimal, currency: str, base: str, rates: Mapping[str, Decimal]) -> Minor | None:
    """Return the amount in minor units of `base`; None when there is no rate for its currency.

    `rates` says what one unit of a foreign currency is worth in `base`. A conversion is rounded once, at its
    end, and only an amount with too many decimals counts as rounded.
    """
    if currency == base:
        return minor_units(amount, base)
    rate = rates.get(currency)
    if rate is None:
        return None
    too_fine = minor_units(amount, currency).rounded
    return Minor(minor_units(_EXACT.multiply(amount, rate), base).units, too_fine)


def money_text(units: int, currency: str) -> str:
    """Return minor units as a decimal string: 86100 EUR cents are "861.00"."""
    exponent = exponent_of(currency)
    if exponent == 0:
        return str(units)
    whole, part = divmod(abs(units), 10**exponent)
    return f"{'-' if units < 0 else ''}{whole}.{part:0{exponent}d}"
