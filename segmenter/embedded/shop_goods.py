"""What the simulated shop sells, through which channels, and how a basket is filled."""

from dataclasses import dataclass
from random import Random

from segmenter.embedded.shop_records import CURRENCY, Json, money

CATEGORIES = ("coffee", "tea", "kitchen", "garden", "books", "toys")
ITEMS_PER_CATEGORY = 12
CHANNELS = ("web", "app", "store", "marketplace")
CHANNEL_WEIGHTS = (6, 4, 1, 1)
CAMPAIGNS = ("newsletter", "spring", "summer_sale", "back_to_school", "black_friday")
COUNTRIES = ("DE", "FR", "NL", "AT", "IT", "ES")
COUNTRY_WEIGHTS = (5, 3, 2, 1, 2, 2)
COUPONS = ("WELCOME10", "THANKYOU15", "SUMMER20")

# Cents; a category is cheap or dear as a whole, the twelve items of one spread over a factor of four.
_BASE_CENTS = {"coffee": 900, "tea": 600, "kitchen": 2_900, "garden": 2_200, "books": 1_200, "toys": 1_900}


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """A filled basket: what an `order.placed` says beside its id, and the amount as a number."""

    cents: int
    own: dict[str, Json]


def filled_basket(random: Random, favourite: str, taste: float) -> Basket:
    """Fill a basket: mostly of the favourite category, quantities grow with `taste` (1 is usual)."""
    lines = [_line(random, favourite, taste) for _ in range(random.choice((1, 1, 2, 2, 3, 4)))]
    return _priced(random, lines)


def dear_basket(random: Random, cents: int) -> Basket:
    """Fill a basket with one dear thing that costs `cents`."""
    line = _Line(item="kitchen-espresso-machine", category="kitchen", quantity=1, cents=cents)
    return Basket(cents=cents, own=_own(random, [line], cents))


def clicked(random: Random, favourite: str) -> dict[str, Json]:
    """Return what a click says beside its customer."""
    category = _category(random, favourite)
    return {
        "kind": random.choices(("view", "search", "cart", "wishlist"), (14, 3, 2, 1))[0],
        "item": f"{category}-{random.randrange(ITEMS_PER_CATEGORY):02d}",
        "category": category,
        "channel": "web" if random.random() < 0.6 else "app",
    }


def attributes(random: Random) -> dict[str, Json]:
    """Return what a `customer.updated` says beside its customer: nothing that names a person."""
    country = random.choices(COUNTRIES, COUNTRY_WEIGHTS)[0]
    return {
        "attributes": {"country": country, "club": random.random() < 0.3},
        "consent": {"email": random.random() < 0.8, "push": random.random() < 0.3},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    item: str
    category: str
    quantity: int
    cents: int


def _line(random: Random, favourite: str, taste: float) -> _Line:
    category = _category(random, favourite)
    number = random.randrange(ITEMS_PER_CATEGORY)
    quantity = max(1, round(random.expovariate(1 / taste)))
    each = _BASE_CENTS[category] * (4 + number) // 6
    return _Line(item=f"{category}-{number:02d}", category=category, quantity=quantity, cents=each * quantity)


def _priced(random: Random, lines: list[_Line]) -> Basket:
    total = sum(line.cents for line in lines)
    if random.random() > 0.15:
        return Basket(cents=total, own=_own(random, lines, total))
    discount = total * random.choice((10, 15, 20)) // 100
    own = _own(random, lines, total - discount)
    own |= {"discount": money(discount), "coupon": random.choice(COUPONS)}
    return Basket(cents=total - discount, own=own)


def _own(random: Random, lines: list[_Line], cents: int) -> dict[str, Json]:
    own: dict[str, Json] = {
        "amount": money(cents),
        "currency": CURRENCY,
        "items": [
            {
                "item": line.item,
                "category": line.category,
                "quantity": line.quantity,
                "amount": money(line.cents),
            }
            for line in lines
        ],
        "channel": random.choices(CHANNELS, CHANNEL_WEIGHTS)[0],
    }
    if random.random() < 0.2:
        own["campaign"] = random.choice(CAMPAIGNS)
    return own


def _category(random: Random, favourite: str) -> str:
    return favourite if random.random() < 0.7 else random.choice(CATEGORIES)
