import json
from typing import cast

from tests.bench.metrics import busy_metrics
from tests.deploy.queries import DASHBOARD, dashboard_queries

_BOARD = json.loads(DASHBOARD.read_text())


def test_the_source_is_chosen_by_a_variable_and_never_fixed() -> None:
    sources = {panel["datasource"]["uid"] for panel in _BOARD["panels"] if "datasource" in panel}
    sources |= {t["datasource"]["uid"] for panel in _BOARD["panels"] for t in panel.get("targets", [])}

    assert sources == {"${datasource}"}
    assert [v["type"] for v in _BOARD["templating"]["list"] if v["name"] == "datasource"] == ["datasource"]


def test_every_metric_of_the_product_is_on_the_dashboard() -> None:
    shown = " ".join(dashboard_queries().values())
    ours = {family.name for family in busy_metrics().registry.collect() if family.name.startswith("segmenter")}

    assert {name for name in ours if name not in shown} == set()


def test_panels_do_not_overlap_and_stay_inside_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in _BOARD["panels"]:
        cells = _cells(cast(dict[str, int], panel["gridPos"]))
        assert not taken & cells, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells


def test_panel_ids_are_unique() -> None:
    ids = [panel["id"] for panel in _BOARD["panels"]]

    assert len(ids) == len(set(ids))


def _cells(place: dict[str, int]) -> set[tuple[int, int]]:
    return {
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    }
