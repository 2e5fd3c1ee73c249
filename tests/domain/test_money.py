"""Money: exact, in minor units of ISO 4217, rounded half away from zero at the end."""

from decimal import Decimal

import pytest

from segmenter.domain.money import converted, exponent_of, minor_units, money_text

RATES = {"USD": Decimal("0.92"), "JPY": Decimal("0.0061"), "KWD": Decimal("2.9871")}


@pytest.mark.parametrize(("currency", "decimals"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("XXX", 2)])
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent_of(currency) == decimals


@pytest.mark.parametrize(
    ("amount", "currency", "units", "is_rounded"),
    [
        ("861.00", "EUR", 86_100, False),
        ("10.005", "EUR", 1_001, True),
        ("10.0049", "EUR", 1_000, True),
        ("-10.005", "EUR", -1_001, True),
        ("0.005", "EUR", 1, True),
        ("1.500", "EUR", 150, False),
        ("99.5", "JPY", 100, True),
        ("1.2345", "KWD", 1_235, True),
        ("0", "EUR", 0, False),
        ("1E+3", "EUR", 100_000, False),
        ("999999999999999999", "EUR", 99_999_999_999_999_999_900, False),
        ("0.999999999999999999", "EUR", 100, True),
    ],
)
def test_too_many_decimals_are_rounded_half_away_from_zero(
    amount: str, currency: str, units: int, is_rounded: bool
) -> None:
    assert minor_units(Decimal(amount), currency) == (units, is_rounded)


def test_a_foreign_amount_is_converted_and_rounded_once() -> None:
    # In cents first it would be 10.01 USD, which is worth 9.21.
    assert converted(Decimal("10.005"), "USD", "EUR", RATES) == (920, True)


def test_a_conversion_alone_does_not_count_as_rounding() -> None:
    assert converted(Decimal("9.99"), "USD", "EUR", RATES) == (919, False)


def test_a_currency_without_decimals_is_worth_cents() -> None:
    assert converted(Decimal("1000"), "JPY", "EUR", RATES) == (610, False)


def test_eighteen_digits_convert_exactly() -> None:
    assert converted(Decimal("123456789012345.678"), "KWD", "EUR", RATES) == (36_877_777_445_877_777, False)


def test_a_currency_without_a_rate_has_no_worth() -> None:
    assert converted(Decimal(1), "CHF", "EUR", RATES) is None


def test_the_own_currency_needs_no_rate() -> None:
    assert converted(Decimal("1.23"), "EUR", "EUR", {}) == (123, False)


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (86_100, "EUR", "861.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (-12_345, "EUR", "-123.45"),
        (0, "EUR", "0.00"),
        (100, "JPY", "100"),
        (1_235, "KWD", "1.235"),
    ],
)
def test_money_is_told_with_the_decimals_of_its_currency(units: int, currency: str, text: str) -> None:
    assert money_text(units, currency) == text
